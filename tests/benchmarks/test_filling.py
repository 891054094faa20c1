"""A filled database is one that requests could have made, only larger."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from benchmarks import baseline, traffic
from benchmarks.prepare import prepare
from benchmarks.server import Server
from benchmarks.traffic import OLD, Traffic
from core.database import db, fetch_all
from core.evidence import drain_outbox
from core.testing import BOTH

if TYPE_CHECKING:
    from flask import Flask

    from core.testing import MakeApp

COPIES = 3
#: Rows of one account, a few more or less.
EACH = 3_840


@pytest.fixture
def app(make_app: MakeApp) -> Flask:
    return make_app(plugins={"baseline": baseline})


def counts() -> dict[str, int]:
    """Count what each account has in each table."""
    found = {}
    for table in db.get_tables():
        columns = {column.name for column in db.get_columns(table)}
        if columns & {"account_id", "session_key"}:
            found[table] = fetch_all(f"SELECT COUNT(*) FROM {table}")[0][0]  # noqa: S608
    return found


@pytest.mark.parametrize("storage", BOTH, indirect=True)
def test_every_account_has_what_the_first_one_stored_and_can_store_more(app: Flask) -> None:
    prepared = prepare(app, EACH * COPIES)
    server = Server.of(prepared, port=0, pid=0)

    assert len(server.accounts) == COPIES
    with app.app_context():
        stored = {table: number for table, number in counts().items() if number}
        keys = stored.pop("core_api_key")
    # Each has the key of the first one, which nobody knows any more, and one to be measured with.
    assert keys == 2 * COPIES
    assert all(number % COPIES == 0 for number in stored.values()), stored
    # The accounts themselves and their first keys count too.
    assert server.rows == sum(stored.values()) + COPIES + COPIES
    client = app.test_client()
    path = f"/v1/sessions/{server.moods[0]}/mood"
    moods = [client.get(path, headers={"X-Api-Key": who.key}).get_json() for who in server.accounts]
    assert len({mood["mood"] for mood in moods}) == 1
    assert len({mood["updated_at"] for mood in moods}) == COPIES
    requests = Traffic(server, seed=1)
    for kind in (traffic.EVENTS, traffic.SEARCH, traffic.POST_MOOD):
        (request,) = requests.make(kind, 1)
        answer = client.post(request.path, data=request.body, headers=dict(request.headers))
        assert answer.status_code == 200, answer.text
    with app.app_context():
        drain_outbox()
        assert counts()["core_outbox"] == 0


def test_every_kind_of_request_is_answered_and_the_promised_share_goes_to_old_sessions(
    app: Flask,
) -> None:
    server = Server.of(prepare(app, 1), port=0, pid=0)
    client = app.test_client()
    for seed, kind in enumerate(traffic.KINDS):
        requests = Traffic(server, seed).make(kind, 2)
        assert len({(each.path, each.body) for each in requests}) == 2 or kind.items == 1
        for each in requests:
            answer = client.open(
                each.path, method=each.method, data=each.body, headers=dict(each.headers)
            )
            assert answer.status_code == 200, f"{kind.name}: {answer.text}"
            assert '"rejections":[{' not in answer.text
    made = Traffic(server, 1)
    old = [made.session()[1] in server.sessions for _ in range(1_000)]
    assert sum(old) / len(old) == pytest.approx(OLD, abs=0.05)
