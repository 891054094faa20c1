"""Two machines on one PostgreSQL and one Redis: whichever a client reaches, it finds the same."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
import uuid
from typing import TYPE_CHECKING, Any

import pytest
import redis

from core.queues import Queues
from examples.demo.client import Client
from examples.demo.replay import settle
from plugins.stream.analysis.models import FACE_LANDMARKER, is_installed
from tests.resilience.installation import Installation, Part, eventually, free_port
from tests.stream.media import encode, moving, speech

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SESSION = "seen-from-both"
BATCHES = 20
EVENTS: tuple[dict[str, Any], ...] = (
    {"type": "click", "x": 1, "y": 1},
    {"type": "error", "message": "Card declined"},
)
AT = "2026-03-16T10:14:30.000Z"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """Run a web process and a worker of each of two machines, which share no disk."""
    settings = {
        "WEB_CONCURRENCY": "1",
        "SUBTEXT_STREAM_BLOBS": "redis:",
        "SUBTEXT_RATE_LIMITS": "1",
        "SUBTEXT_RATE_LIMIT": "100000/hour",
    }
    directory = tmp_path_factory.mktemp("machines")
    with Installation(directory, storage="postgresql", **settings) as house:
        start_second_machine(house, directory)
        yield house


def start_second_machine(house: Installation, directory: Path) -> None:
    """Start the parts of another machine, with a port and a directory of its own; `house` ends them with its own."""
    port = str(free_port())
    environment = {**house.environment, "PORT": port, "SUBTEXT_DATA": str(directory / "data2")}
    for name in ("web", "worker"):
        first = house.parts[name]
        assert isinstance(first, Part)
        second = Part(f"{name}2", first.command, environment, directory / f"{name}2.log")
        house.parts[second.name] = second
        second.start()
    assert eventually(lambda: answers(urls(house)[1])), house.log("web2")


def urls(house: Installation) -> tuple[str, str]:
    """Return the addresses of the two machines."""
    second = house.parts["web2"]
    assert isinstance(second, Part)
    return house.url, f"http://127.0.0.1:{second.environment['PORT']}"


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=10) as answer:
            return bool(json.load(answer)["status"] == "ok")
    except OSError:
        return False


@pytest.fixture(scope="module")
def clients(house: Installation) -> Iterator[tuple[Client, Client]]:
    first, second = urls(house)
    with Client(first, house.by_key) as one, Client(second, house.by_key) as other:
        yield one, other


def test_batches_that_reach_either_machine_make_one_session(
    house: Installation, clients: tuple[Client, Client]
) -> None:
    for number in range(BATCHES):
        client = clients[number % 2]
        events = [{**event, "id": f"{number}-{n}"} for n, event in enumerate(EVENTS)]
        answer = client.post(f"/v1/sessions/{SESSION}/events", {"events": events})
        assert answer.status == 200, answer
        again = clients[(number + 1) % 2].post(f"/v1/sessions/{SESSION}/events", {"events": events})
        assert again == answer  # a repeat, told to the other
    token = house.token()
    for number, client in enumerate(clients * 5):
        item = {"eventType": "click", "targetSelector": "#a", "timestamp": AT, "x": number}
        batch = {"sessionId": SESSION, "batch": [item]}
        assert client.post("/api/data/events", batch, token).body["data"]["accepted"] == 1
    settle(house.url)

    moods = [client.get(f"/v1/sessions/{SESSION}/mood") for client in clients]
    timelines = [client.get(f"/v1/sessions/{SESSION}/timeline?limit=1000") for client in clients]

    assert moods[0] == moods[1]
    assert moods[0].body["event_count"] == BATCHES * len(EVENTS)
    assert timelines[0] == timelines[1]
    sources = [entry["source"] for entry in timelines[0].body["entries"]]
    assert sources.count("ingestion") == 10


def test_a_key_of_a_repeat_and_a_limit_hold_on_both(
    house: Installation, clients: tuple[Client, Client]
) -> None:
    key = {"Idempotency-Key": "once"}
    search = {"session_id": "search", "search_query": "q", "search_results": []}

    told = [client.post("/session", search, key) for client in clients]
    left = [remaining(url, house) for url in urls(house) * 2]

    assert told[0] == told[1]
    assert told[0].status < 300
    assert left == list(range(left[0], left[0] - 4, -1))


def remaining(url: str, house: Installation) -> int:
    """Return how many requests are left of the account's limit, as an answer says."""
    request = urllib.request.Request(f"{url}/v1/analytics/moods", headers=house.by_key)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return int(answer.headers["RateLimit-Remaining"])


@pytest.mark.skipif(not is_installed(FACE_LANDMARKER), reason="models are not installed")
def test_media_that_one_machine_takes_is_analysed_by_the_other(
    house: Installation, clients: tuple[Client, Client]
) -> None:
    with redis.Redis.from_url(house.environment["REDIS_URL"]) as broker:
        assert eventually(lambda: Queues(broker).worker_count("stream") == 2), house.log("worker2")
    house.down("worker")  # the one of the machine that takes the file
    try:
        status, found = upload(house, encode("webm", moving(3.0), speech(3.0)))
    finally:
        house.up("worker")

    assert status == 200, (found, house.log("worker2")[-4000:])
    shown = [client.get("/v1/stream/sessions/uploaded") for client in clients]
    assert shown[0] == shown[1]
    assert shown[0].body["recordings"][0]["seconds"] == pytest.approx(3.0, abs=0.2)
    assert not (house.directory / "data" / "media").exists()


def upload(house: Installation, video: bytes) -> tuple[int, Any]:
    boundary = uuid.uuid4().hex
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="v.webm"\r\n\r\n'
    request = urllib.request.Request(
        f"{house.url}/v1/upload/analyze?session_id=uploaded",
        head.encode() + video + f"\r\n--{boundary}--\r\n".encode(),
        {
            **house.by_key,
            "Content-Type": f"multipart/form-data; boundary={boundary}",
        },
    )
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def test_what_one_machine_erases_is_gone_on_the_other(clients: tuple[Client, Client]) -> None:
    events = {"events": [{"type": "click"}]}
    assert clients[0].post("/v1/sessions/gone/events", events).status == 200

    assert clients[1].request("DELETE", "/v1/sessions/gone").status == 200

    assert clients[0].get("/v1/sessions/gone/mood").status == 404
    assert clients[0].post("/v1/sessions/gone/events", events).status == 410
