from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core import Session, TimelineEntry, create_account, hookimpl, touch_session, transaction
from core.timeline import read_timeline

if TYPE_CHECKING:
    from collections.abc import Iterable

    from flask import Flask

    from core.testing import Caller, MakeApp, MakeCaller

SESSION = Session(1, 1, "s")


class Memory:
    """Remembers moments, and gives them as a database would: sorted, later than, at most."""

    def __init__(self, name: str, *moments: int) -> None:
        self.name = name
        self.moments = sorted(moments)

    @hookimpl
    def session_timeline(self, session: Session, after: int, limit: int) -> Iterable[TimelineEntry]:
        found = [
            TimelineEntry(at, self.name, "moment", {"number": number})
            for number, at in enumerate(self.moments)
            if at > after
        ]
        return found[:limit]


@pytest.fixture
def memories() -> dict[str, Memory]:
    return {
        "one": Memory("one", 10, 30, 50),
        "two": Memory("two", 20, 30, 40),
        "none": Memory("none"),
    }


@pytest.fixture
def remembering(make_core: MakeApp, memories: dict[str, Memory]) -> Flask:
    return make_core(plugins=memories)


@pytest.fixture
def reader(remembering: Flask, make_caller: MakeCaller) -> Caller:
    someone = make_caller(remembering)
    with remembering.app_context(), transaction():
        touch_session(someone.account_id, "a/b")
    return someone


def test_what_all_plugins_know_is_merged_by_time(remembering: Flask) -> None:
    with remembering.app_context():
        entries, following = read_timeline(SESSION, after=0, limit=100)

    assert [(entry.at, entry.source) for entry in entries] == [
        (10, "one"),
        (20, "two"),
        (30, "one"),
        (30, "two"),
        (40, "two"),
        (50, "one"),
    ]
    assert following is None


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    moments=st.lists(st.lists(st.integers(1, 12), max_size=12), min_size=3, max_size=3),
    limit=st.integers(1, 5),
)
def test_page_by_page_nothing_is_missed_and_nothing_comes_twice(
    moments: list[list[int]], limit: int, remembering: Flask, memories: dict[str, Memory]
) -> None:
    for memory, its in zip(memories.values(), moments, strict=True):
        memory.moments = sorted(its)
    seen: list[TimelineEntry] = []
    after: int | None = 0
    with remembering.app_context():
        while after is not None:
            page, after = read_timeline(SESSION, after=after, limit=limit)
            assert page or after is None
            seen += page
        whole, _ = read_timeline(SESSION, after=0, limit=1_000)

    assert seen == whole
    assert [entry.at for entry in seen] == sorted(chain.from_iterable(moments))


def test_a_page_is_answered_with_where_the_next_begins(remembering: Flask, reader: Caller) -> None:
    client = remembering.test_client()

    first = client.get("/v1/sessions/a%2Fb/timeline?limit=2", headers=reader.headers)
    second = client.get(
        f"/v1/sessions/a/b/timeline?after={first.get_json()['next_after']}", headers=reader.headers
    )

    assert first.status_code == 200
    assert first.get_json()["session_id"] == "a/b"
    assert first.get_json()["entries"][0] == {
        "at": "1970-01-01T00:00:00.000Z",
        "source": "one",
        "kind": "moment",
        "data": {"number": 0},
    }
    assert [entry["source"] for entry in first.get_json()["entries"]] == ["one", "two"]
    assert len(second.get_json()["entries"]) == 4
    assert second.get_json()["next_after"] is None


def test_a_session_of_another_account_is_not_found(
    remembering: Flask, reader: Caller, make_caller: MakeCaller
) -> None:
    stranger = make_caller(remembering)

    answer = remembering.test_client().get("/v1/sessions/a/b/timeline", headers=stranger.headers)

    assert (answer.status_code, answer.get_json()) == (
        404,
        {"error": "Session not found", "session_id": "a/b"},
    )


@pytest.mark.parametrize("session_id", ["none", "a%00b", "%ED%A0%80", "x" * 300])
@pytest.mark.parametrize("storage", ["sqlite", "postgresql"], indirect=True)
def test_a_session_that_cannot_be_is_not_found(
    session_id: str, remembering: Flask, reader: Caller
) -> None:
    answer = remembering.test_client().get(
        f"/v1/sessions/{session_id}/timeline", headers=reader.headers
    )

    assert answer.status_code == 404


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=1001",
        "limit=x",
        "after=x",
        f"after={2**63}",
        "after=1.5",
        "limit=" + "9" * 5_000,
    ],
)
def test_a_page_that_cannot_be_had_is_refused(
    query: str, remembering: Flask, reader: Caller
) -> None:
    answer: Any = remembering.test_client().get(
        f"/v1/sessions/a/b/timeline?{query}", headers=reader.headers
    )

    assert answer.status_code == 422
    assert set(answer.get_json()["errors"]["query"]) == {query.partition("=")[0]}


def test_the_timeline_is_only_for_keys_that_may_read(
    remembering: Flask, reader: Caller, make_caller: MakeCaller
) -> None:
    client = remembering.test_client()
    headers = make_caller(remembering, "mood").headers

    assert client.get("/v1/sessions/a/b/timeline", headers=headers).status_code == 403
    assert client.get("/v1/sessions/a/b/timeline").status_code == 401


def test_without_plugins_a_timeline_is_empty(core_app: Flask) -> None:
    with core_app.app_context():
        with transaction():
            session = touch_session(create_account("Test").id, "s")

        assert read_timeline(session, after=0, limit=10) == ([], None)
