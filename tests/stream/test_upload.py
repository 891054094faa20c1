"""`POST /v1/upload/analyze` as its callers see it."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import pytest

from tests.stream.house import House, eventually
from tests.stream.scripts import video, without_picture

if TYPE_CHECKING:
    from pathlib import Path

    import redis

    from core.valkey import EmbeddedValkey

BOUNDARY = "a-boundary-that-no-video-holds"


def form(file: bytes | None, *include: str) -> bytes:
    """Return a multipart body."""
    parts = [
        b'Content-Disposition: form-data; name="include[]"\r\n\r\n' + name.encode()
        for name in include
    ]
    if file is not None:
        parts.append(
            b'Content-Disposition: form-data; name="file"; filename="a.mp4"\r\n'
            b"Content-Type: video/mp4\r\n\r\n" + file
        )
    edge = b"--" + BOUNDARY.encode()
    return b"".join(edge + b"\r\n" + part + b"\r\n" for part in parts) + edge + b"--\r\n"


def upload(
    house: House, file: bytes | None, *include: str, query: str = "", **headers: str
) -> tuple[int, Any, Any]:
    """Send a file and return status, body and headers of the answer."""
    kind = f"multipart/form-data; boundary={BOUNDARY}"
    path = f"/v1/upload/analyze{query}"
    return house.request("POST", path, form(file, *include), Content_Type=kind, **headers)


def test_a_file_is_answered_with_what_was_found_in_it(house: House) -> None:
    status, body, headers = upload(house, video(12.0), query="?session_id=uploaded")
    assert status == 200, body
    assert set(body) == {"signals", "engagement_state"}
    assert body["engagement_state"][0]["start"] == 0.0
    assert str(uuid.UUID(headers["X-Correlation-ID"])) == headers["X-Correlation-ID"]
    (recording,) = house.get("/v1/stream/sessions/uploaded")["recordings"]
    assert recording["kind"] == "upload"
    assert recording["correlation_id"] == headers["X-Correlation-ID"]
    assert recording["signals"] == body["signals"]
    assert recording["engagement_state"] == body["engagement_state"]
    assert eventually(lambda: house.media_left() == 0)


def test_quality_is_answered_where_it_is_asked_for_and_always_as_a_whole(house: House) -> None:
    _, body, _ = upload(house, video(12.0), "conversation_quality_timeline", "unknown")
    assert set(body["conversation_quality"]) == {"overall", "timeline"}
    six = {"quality_index", "clarity", "authority", "energy", "rapport", "learning"}
    assert set(body["conversation_quality"]["overall"]) == six
    _, body, _ = upload(house, video(12.0), "conversation_quality_overall")
    assert set(body["conversation_quality"]) == {"overall"}


@pytest.mark.parametrize(
    ("file", "status", "code"),
    [
        (None, 400, "ih4001"),
        (b"", 400, "ih4002"),
        (b"no container" * 1000, 400, "ih4002"),
        (video(1.0), 400, "ih4007"),
        (without_picture(), 422, "ih5001"),
        (video(3.2)[:-2000], 422, "ih5002"),
        (video(3.2, broken=True), 422, "ih5002"),
        (bytes(33 * 1024 * 1024), 413, "ih4003"),
        (video(3.2, crash=9, name="upload"), 503, "ih1002"),
    ],
    ids=["none", "empty", "unknown", "short", "sound", "cut", "broken", "large", "crash"],
)
def test_a_file_that_cannot_be_analysed_is_answered_with_its_code(
    house: House, file: bytes | None, status: int, code: str
) -> None:
    answered, body, headers = upload(house, file)
    assert (answered, body["error_id"]) == (status, code)
    assert set(body) == {"error_id", "correlation_id", "link", "message"}
    assert headers["X-Correlation-ID"] == body["correlation_id"]
    assert eventually(lambda: house.media_left() == 0)


def test_what_is_no_form_has_no_file(house: House) -> None:
    status, body, _ = house.request("POST", "/v1/upload/analyze", b"x", Content_Type="text/plain")
    assert (status, body["error_id"]) == (400, "ih4001")
    status, body, _ = house.request(
        "POST", "/v1/upload/analyze", b"x", Authorization="Bearer nonsense"
    )
    assert (status, body["error_id"]) == (401, "ih2001")


def test_a_file_that_nobody_can_look_at_is_refused_at_once(
    tmp_path: Path, valkey: EmbeddedValkey, broker: redis.Redis
) -> None:
    assert broker.ping()
    with House(tmp_path, valkey.url) as house:
        status, body, headers = upload(house, video(12.0))
    assert status == 503
    assert body["message"] == "No worker for video is running: python -m workers stream"
    assert headers["Retry-After"]
