"""What live video costs: CPU, time until something is said, streams at a time, memory, sockets that wait."""

from __future__ import annotations

import http.client
import json
import os
import resource
import threading
import time
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles
from typing import TYPE_CHECKING, Any, NamedTuple

import redis
import websocket

from benchmarks.clips import SECONDS, make_clips
from benchmarks.load import Request, send
from benchmarks.processes import children, cpu_seconds, resident_bytes
from benchmarks.server import PATIENCE, running, working
from core.queues import Queues
from core.valkey import EmbeddedValkey
from plugins.stream.analysis.child import AnalysisChild
from plugins.stream.analysis.recognition import is_available

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from benchmarks.clips import Clips
    from benchmarks.server import Server

QUEUE = "stream"
#: Seconds that a frame is waited for.
TIMEOUT = 60.0
#: Turns through all segments in which the CPU time of the analysis is measured.
ROUNDS = 5
#: Streams at a time to begin with, and how many more or fewer are tried next.
FIRST_TRY, STEP = 8, 2
#: Streams whose first finding is waited for, at most.
FIRST_FINDINGS = 20
#: Uploads, one after another, at most.
UPLOADS = 20
BOUNDARY = "a-boundary-of-parts"
#: What a stream is told of the media that it took.
FINDINGS = ("signal.detected", "engagement.updated", "conversation_quality.updated")


class Spread(NamedTuple):
    """Hold the median and the 95th percentile of some times, in seconds."""

    median: float
    slow: float


@dataclass(frozen=True)
class Load:
    """Say how many `segments` each live stream has, and how many `streams` there are at most.

    So many `sockets` wait, and what has a spread is measured `samples` times.
    """

    segments: int
    streams: int
    sockets: int
    samples: int


@dataclass(frozen=True)
class Streams:
    """Hold what was measured; `None` for recognition where it is not installed.

    CPU is in seconds a second of video, of an upload that of the web processes; memory in bytes. `carried` is how many
    live streams had what was said last answered within the length of a segment. `worker_bytes` is one worker with its
    child, `asked_*` requests over HTTP.
    """

    has_face: bool
    cpu: float
    cpu_with_recognition: float | None
    latency: Spread
    upload: Spread
    upload_cpu: float
    workers: int
    carried: int
    worker_bytes: int
    sockets: int
    socket_bytes: float
    asked_before: Spread
    asked_while: Spread


def measure(directory: Path, load: Load, *, report: Callable[[str], object]) -> Streams:
    """Measure all of it on servers whose data lies in a directory.

    Raises ModelsMissing before anything is started.
    """
    report("encoding video")
    clips = make_clips()
    report("analysing video")
    cpu = _analysis_seconds(clips, words=False)
    with_recognition = _analysis_seconds(clips, words=True) if is_available() else None
    workers = len(os.sched_getaffinity(0))
    with ExitStack() as stack:
        valkey = stack.enter_context(EmbeddedValkey(directory / "valkey"))
        settings = {"REDIS_URL": valkey.url}
        with (
            _serving(directory / "live", settings) as server,
            _attended(server, valkey.url, workers) as pids,
        ):
            latency = _first_finding(server, clips, min(load.samples, FIRST_FINDINGS))
            report(f"the first finding comes after {latency.median:.2f} s")
            upload, upload_cpu = _uploads(server, clips, min(load.samples, UPLOADS))
            carried = _carried(server, clips, load, report)
            memory = max(map(_with_children, pids))
        settings |= {
            "WEB_CONCURRENCY": "1",
            "SUBTEXT_STREAM_MAX_SOCKETS": str(load.sockets + 1),
            "SUBTEXT_STREAM_MAX_PER_ACCOUNT": str(load.sockets + 1),
        }
        with _serving(directory / "idle", settings) as server:
            before, during, each = _idle(server, load, report)
    return Streams(
        clips.has_face,
        cpu,
        with_recognition,
        latency,
        upload,
        upload_cpu,
        workers,
        carried,
        memory,
        load.sockets,
        each,
        before,
        during,
    )


@contextmanager
def _serving(directory: Path, settings: dict[str, str]) -> Iterator[Server]:
    directory.mkdir()
    with running(directory, settings) as server:
        yield server


@contextmanager
def _attended(server: Server, url: str, processes: int) -> Iterator[list[int]]:
    """Run workers and give their process ids once all have loaded their models."""
    with working(server, f"{QUEUE}={processes}") as parent, redis.Redis.from_url(url) as broker:
        deadline = time.monotonic() + 2 * PATIENCE
        while Queues(broker).worker_count() < processes:
            if time.monotonic() > deadline:
                log = Path(server.environment["SUBTEXT_DATA"]) / "worker.log"
                raise RuntimeError(log.read_text())
            time.sleep(0.1)
        yield children(parent)


def _analysis_seconds(clips: Clips, *, words: bool) -> float:
    """Return the CPU seconds that the analysis of one second takes, decoding included."""
    with AnalysisChild(options={"face": True, "voice": True, "words": words}) as child:
        for clip in clips.segments:  # the first ones are slower
            child.analyze(clip, TIMEOUT)
        pid = child.pid or 0
        before = cpu_seconds(pid)
        for _ in range(ROUNDS):
            for clip in clips.segments:
                child.analyze(clip, TIMEOUT)
        return (cpu_seconds(pid) - before) / (ROUNDS * len(clips.segments) * SECONDS)


def _connect(server: Server) -> websocket.WebSocket:
    """Open a stream and wait until it is ready."""
    connection = websocket.create_connection(
        f"ws://127.0.0.1:{server.port}/v1/stream/analyze",
        timeout=TIMEOUT,
        header={"Authorization": f"Bearer {server.key}"},
        suppress_origin=True,
    )
    _await_frame(connection, ("session.ready",))
    return connection


def _await_frame(connection: websocket.WebSocket, kinds: Sequence[str]) -> None:
    """Read up to a frame of one of the kinds; RuntimeError when an error comes."""
    while True:
        frame: dict[str, Any] = json.loads(connection.recv())
        if frame["type"] in kinds:
            return
        if frame["type"] == "error":
            raise RuntimeError(f"the stream says {frame['data']}")


def _first_finding(server: Server, clips: Clips, samples: int) -> Spread:
    """Return the time from sending the first segment of a stream until something is said of it."""
    seconds = []
    for number in range(samples):
        with closing(_connect(server)) as connection:
            started = time.perf_counter()
            connection.send_binary(clips.segments[number % len(clips.segments)])
            _await_frame(connection, FINDINGS)
            seconds.append(time.perf_counter() - started)
    return _spread(seconds)


def _uploads(server: Server, clips: Clips, samples: int) -> tuple[Spread, float]:
    """Return how long an upload of one segment takes, and the CPU seconds of the web processes for it."""
    headers = {
        "X-Api-Key": server.key,
        "Content-Type": f"multipart/form-data; boundary={BOUNDARY}",
    }
    head = (
        f"--{BOUNDARY}\r\n"
        'Content-Disposition: form-data; name="file"; filename="clip.webm"\r\n'
        "Content-Type: video/webm\r\n\r\n"
    )
    tail = f"\r\n--{BOUNDARY}--\r\n"
    bodies = [head.encode() + clip + tail.encode() for clip in clips.segments]
    requests = [
        Request("POST", "/v1/upload/analyze", headers, bodies[number % len(bodies)])
        for number in range(samples)
    ]
    send(server.port, requests[:1], 1)  # what the first one brings is not the price of the next
    before = sum(map(cpu_seconds, server.workers()))
    seconds = send(server.port, requests, 1)
    spent = sum(map(cpu_seconds, server.workers())) - before
    return _spread(seconds), spent / samples


def _carried(server: Server, clips: Clips, load: Load, report: Callable[[str], object]) -> int:
    """Return with how many streams at a time the backlog does not grow; 0 when it always does."""
    carried, count, step = 0, min(FIRST_TRY, load.streams), STEP
    while 0 < count <= load.streams:
        lag = _stream(server, clips, count, load.segments)
        report(f"{count} streams: the last segment is answered after {lag:.2f} s")
        if lag <= SECONDS:
            carried = count
            if step < 0:
                break
        elif carried:
            break
        else:
            step = -STEP
        count += step
    return carried


def _stream(server: Server, clips: Clips, count: int, segments: int) -> float:
    """Stream as cameras do, and return the longest time from a last segment until all was answered."""
    lags: list[float] = []
    faults: list[Exception] = []

    def film(number: int) -> None:
        time.sleep(number * SECONDS / count)  # nobody starts at the same time
        try:
            with closing(_connect(server)) as connection:
                started = time.monotonic()
                for sent in range(segments):
                    time.sleep(max(0.0, started + sent * SECONDS - time.monotonic()))
                    connection.send_binary(clips.segments[(number + sent) % len(clips.segments)])
                last = time.monotonic()
                connection.send(json.dumps({"type": "session.close"}))
                _await_frame(connection, ("session.ended",))
                lags.append(time.monotonic() - last)
        except (OSError, websocket.WebSocketException, RuntimeError) as fault:
            faults.append(fault)

    cameras = [threading.Thread(target=film, args=(number,)) for number in range(count)]
    for camera in cameras:
        camera.start()
    for camera in cameras:
        camera.join()
    if faults:
        raise RuntimeError(f"{len(faults)} of {count} streams failed") from faults[0]
    return max(lags)


def _with_children(pid: int) -> int:
    return resident_bytes(pid) + sum(map(resident_bytes, children(pid)))


def _idle(
    server: Server, load: Load, report: Callable[[str], object]
) -> tuple[Spread, Spread, float]:
    """Return how requests are answered before and while sockets wait, and the bytes that each socket takes."""
    _allow_files(4 * load.sockets)
    (pid,) = server.workers()
    with ExitStack() as stack:
        # What the first stream and the first requests bring is not the price of one more.
        stack.enter_context(closing(_connect(server)))
        _ask(server, load.samples)
        before, bytes_before = _ask(server, load.samples), resident_bytes(pid)
        report(f"opening {load.sockets} sockets")
        for _ in range(load.sockets):
            stack.enter_context(closing(_connect(server)))
        each = (resident_bytes(pid) - bytes_before) / load.sockets
        return before, _ask(server, load.samples), each


def _allow_files(count: int) -> None:
    """Let this process have so many more files open than usual."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count + 1024:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, count + 1024), hard))


def _ask(server: Server, samples: int) -> Spread:
    """Return the time of one request that reads the database, over a connection that is kept."""
    headers = {"X-Api-Key": server.key, "Content-Type": "application/json"}
    event = json.dumps({"events": [{"type": "focus"}]})
    seconds = []
    with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=TIMEOUT)) as http_:
        http_.request("POST", "/v1/sessions/asked/events", event, headers)
        http_.getresponse().read()
        for _ in range(samples):
            started = time.perf_counter()
            http_.request("GET", "/v1/sessions/asked/mood", headers=headers)
            answer = http_.getresponse()
            answer.read()
            seconds.append(time.perf_counter() - started)
            if answer.status != http.client.OK:
                raise RuntimeError(f"a request was answered {answer.status}")
    return _spread(seconds)


def _spread(seconds: Sequence[float]) -> Spread:
    if len(seconds) == 1:
        return Spread(seconds[0], seconds[0])
    return Spread(median(seconds), quantiles(seconds, n=20, method="inclusive")[18])
