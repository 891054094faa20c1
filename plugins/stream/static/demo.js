// Streams the camera, or a chosen file, to this server and shows what it finds.
"use strict";

const SLICE_MILLISECONDS = 3000;
const INCLUDE = ["conversation_quality_overall", "conversation_quality_timeline"];
const TYPES = ["video/webm;codecs=vp8,opus", "video/webm;codecs=vp8", "video/webm", "video/mp4"];

const element = (id) => document.getElementById(id);
const active = new Map();
let running = null;

function say(text) {
  element("status").textContent = text;
}

function line(parent, parts) {
  for (const [tag, text] of parts) {
    const child = document.createElement(tag);
    child.textContent = text;
    parent.append(child, " ");
  }
  return parent;
}

function remember(text, detail = "") {
  const entry = line(document.createElement("li"), [["span", text]]);
  if (detail) line(entry, [["small", detail]]);
  element("history").prepend(entry);
}

function showSignals() {
  element("signals").replaceChildren(
    ...[...active.values()].map((signal) =>
      line(document.createElement("li"), [
        ["b", signal.signal_type],
        ["span", `${signal.probability}, since ${signal.start.toFixed(1)} s`],
        ["small", signal.rationale],
      ])
    )
  );
}

function showQuality(values) {
  element("quality").replaceChildren(
    ...Object.entries(values).flatMap(([name, value]) => {
      const term = document.createElement("dt");
      const description = document.createElement("dd");
      const meter = document.createElement("meter");
      term.textContent = name.replace("_", " ");
      meter.max = 100;
      meter.value = value;
      meter.title = value.toFixed(1);
      description.append(meter);
      return [term, description];
    })
  );
}

const handlers = {
  "session.ready": () => say("Connected: the first findings come after some seconds."),
  "session.closing": () => say("Ending: what was sent is still analysed."),
  "session.ended": (data) => say(`Ended: ${data.reason}.`),
  "signal.detected": (data) => {
    active.set(data.signal_type, data);
    remember(`${data.signal_type} (${data.probability}) at ${data.start.toFixed(1)} s`, data.rationale);
    showSignals();
  },
  "signal.updated": (data) => {
    active.set(data.signal_type, data);
    showSignals();
  },
  "signal.ended": (data) => {
    active.delete(data.signal_type);
    remember(`${data.signal_type} ended at ${data.end.toFixed(1)} s`);
    showSignals();
  },
  "engagement.updated": (data) => {
    element("engagement").textContent = `${data.state} since ${data.start.toFixed(1)} s`;
    remember(`${data.state} from ${data.start.toFixed(1)} s`);
  },
  "conversation_quality.updated": (data) => data.overall && showQuality(data.overall),
  error: (data) => remember(`${data.code}: ${data.message}`),
};

function connect(key, session) {
  const address = new URL("/v1/stream/analyze", location.href);
  address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  if (session) address.searchParams.set("session_id", session);
  const socket = new WebSocket(address, ["access_token", key]);
  socket.binaryType = "arraybuffer";
  socket.addEventListener("message", (event) => {
    const frame = JSON.parse(event.data);
    handlers[frame.type]?.(frame.data);
  });
  return new Promise((resolve, reject) => {
    socket.addEventListener("open", () => resolve(socket), { once: true });
    socket.addEventListener("error", () => reject(new Error("The server refused the stream: check the key.")), {
      once: true,
    });
  });
}

async function openMedia(file) {
  const preview = element("preview");
  if (!file) {
    const stream = await navigator.mediaDevices.getUserMedia({ video: { width: 640, height: 480 }, audio: true });
    preview.srcObject = stream;
    await preview.play();
    return { stream, over: null };
  }
  preview.srcObject = null;
  preview.src = URL.createObjectURL(file);
  await new Promise((resolve, reject) => {
    preview.addEventListener("loadeddata", resolve, { once: true });
    preview.addEventListener("error", () => reject(new Error("The browser cannot play this file.")), { once: true });
  });
  const over = new Promise((resolve) => preview.addEventListener("ended", resolve, { once: true }));
  const stream = (preview.captureStream ?? preview.mozCaptureStream).call(preview);
  await preview.play();
  return { stream, over };
}

function record(stream, socket) {
  const mimeType = TYPES.find((type) => MediaRecorder.isTypeSupported(type));
  const recorder = new MediaRecorder(stream, { mimeType });
  let sent = Promise.resolve();
  recorder.addEventListener("dataavailable", (event) => {
    // One after another: reading a slice takes its time, and order is all that the next ones have.
    sent = sent.then(async () => {
      const slice = await event.data.arrayBuffer();
      if (slice.byteLength && socket.readyState === WebSocket.OPEN) socket.send(slice);
    });
  });
  recorder.start(SLICE_MILLISECONDS);
  return async () => {
    if (recorder.state !== "inactive") {
      const stopped = new Promise((resolve) => recorder.addEventListener("stop", resolve, { once: true }));
      recorder.stop();
      await stopped;
    }
    await sent;
    for (const track of stream.getTracks()) track.stop();
  };
}

async function start(event) {
  event.preventDefault();
  element("start").disabled = true;
  try {
    const media = await openMedia(element("file").files[0]);
    const socket = await connect(element("key").value.trim(), element("session").value.trim());
    active.clear();
    showSignals();
    socket.send(JSON.stringify({ include: INCLUDE }));
    const finish = record(media.stream, socket);
    running = async () => {
      running = null;
      element("stop").disabled = true;
      await finish();
      if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify({ type: "session.close" }));
    };
    socket.addEventListener("close", (closed) => {
      running?.();
      element("start").disabled = false;
      if (closed.code !== 1000) say(`The connection was closed (${closed.code}).`);
    });
    element("stop").disabled = false;
    media.over?.then(() => running?.());
  } catch (error) {
    say(error.message);
    element("start").disabled = false;
  }
}

element("controls").addEventListener("submit", start);
element("stop").addEventListener("click", () => running?.());
