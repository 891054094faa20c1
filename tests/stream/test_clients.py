"""Clients that others wrote: the service's own Python client, and a WHATWG WebSocket, both unchanged."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import textwrap
from typing import TYPE_CHECKING

import pytest

from tests.stream.scripts import video

if TYPE_CHECKING:
    from pathlib import Path

    from tests.stream.house import House

NODE = """
    const [url, key] = process.argv.slice(2);
    async function run(protocols) {
      const socket = new WebSocket(url, protocols);
      const seen = [];
      socket.addEventListener("message", (event) => seen.push(JSON.parse(event.data).type));
      await new Promise((resolve, reject) => {
        socket.addEventListener("open", resolve);
        socket.addEventListener("error", () => reject(new Error("refused")));
      });
      socket.send(require("fs").readFileSync(process.argv[4]));
      socket.send(JSON.stringify({ type: "session.close" }));
      const code = await new Promise((r) => socket.addEventListener("close", (e) => r(e.code)));
      return { protocol: socket.protocol === key ? "key" : socket.protocol, code, seen };
    }
    (async () => {
      const results = [await run(key), await run([key]), await run(["access_token", key])];
      const refused = await run("nonsense").catch((error) => error.message);
      console.log(JSON.stringify([...results, refused]));
    })();
"""


def node_options() -> list[str] | None:
    """Return how Node is started so that it has a WebSocket; None when it is too old or not there."""
    node = shutil.which("node")
    if node is None:
        return None
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True)
    major = int(version.stdout.strip().lstrip("v").split(".")[0])
    if major >= 22:
        return [node]
    return [node, "--experimental-websocket"] if major >= 20 else None


@pytest.mark.skipif(node_options() is None, reason="Node 20 or later is not installed")
def test_a_browsers_websocket_connects_in_both_forms(house: House, tmp_path: Path) -> None:
    (tmp_path / "video.mp4").write_bytes(video(3.2))
    script = tmp_path / "client.cjs"
    script.write_text(textwrap.dedent(NODE))
    arguments = [str(script), house.socket_url, house.key, str(tmp_path / "video.mp4")]
    done = subprocess.run(
        [*(node_options() or []), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={"PATH": os.environ["PATH"], "NODE_NO_WARNINGS": "1"},
    )
    assert done.returncode == 0, done.stderr
    import json

    *streams, refused = json.loads(done.stdout)
    assert [stream["protocol"] for stream in streams] == ["key", "key", "access_token"]
    for stream in streams:
        assert stream["code"] == 1000
        assert stream["seen"][0] == "session.ready"
        assert stream["seen"][-1] == "session.ended"
    assert refused == "refused"


def test_the_services_own_python_client_streams_unchanged(house: House) -> None:
    interhumanai = pytest.importorskip("interhumanai")

    async def stream() -> tuple[list[str], int]:
        client = interhumanai.InterhumanClient(access_token=house.key, base_url=house.url)
        async with client.stream() as session:
            ready = await session.wait_for_session_ready()
            assert ready.data.max_segment_size_bytes == 33_554_432
            await session.update_config(include=list(interhumanai.IncludeFlag))
            for _ in range(4):
                await session.send_video(video(3.2))
            await session.request_close()
            events = [event async for event in session]
            closed = await session.wait_closed()
            return [event.type for event in events], closed.code

    seen, code = asyncio.run(stream())
    assert code == 1000
    assert seen[0] == "session.ready"
    assert seen[-1] == "session.ended"
    assert {"session.updated", "engagement.updated", "conversation_quality.updated"} <= set(seen)


def test_the_services_own_python_client_uploads_unchanged(house: House) -> None:
    interhumanai = pytest.importorskip("interhumanai")

    async def upload() -> None:
        client = interhumanai.InterhumanClient(access_token=house.key, base_url=house.url)
        found = await client.upload.analyze(video(12.0), include=list(interhumanai.IncludeFlag))
        assert found.engagement_state
        assert found.conversation_quality.timeline
        with pytest.raises(interhumanai.InterhumanAPIError) as caught:
            await client.upload.analyze(video(1.0))
        assert (caught.value.status, caught.value.error_id) == (400, "ih4007")

    asyncio.run(upload())
