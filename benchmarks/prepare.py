"""`python -m benchmarks.prepare ROWS` makes the tables, an account and so many rows, and prints the credentials."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import orjson

from benchmarks import filling
from core import migrations
from core.accounts import create_account, issue_key
from core.database import fetch_all
from core.tokens import MAX_TTL_SECONDS, issue_token
from examples.demo.replay import Credentials

if TYPE_CHECKING:
    from flask import Flask

#: Accounts that requests are sent for, at most.
ACCOUNTS = 100


def prepare(app: Flask, rows: int) -> dict[str, Any]:
    """Prepare the app's empty database and return what a `Server` holds of it; `rows` may be 0."""
    with app.app_context():
        migrations.upgrade()
        account = create_account("Benchmark", plan="pro")
        own = _credentials(account.id, account.tenant)
    if not rows:
        return own
    filling.visit(app.test_client(), Credentials(**own))
    with app.app_context():
        stored = filling.multiply(rows)
        accounts = fetch_all("SELECT id, tenant FROM core_account ORDER BY id")
        step = -(-len(accounts) // ACCOUNTS)
        return {
            **own,
            "rows": stored,
            "accounts": [_credentials(*each) for each in accounts[::step]],
            "sessions": _sessions(account.id, "core_session"),
            "searches": _sessions(account.id, "clickstream_search"),
            "moods": _sessions(account.id, "mood_state"),
        }


def _credentials(account_id: int, tenant: str) -> dict[str, str]:
    token = issue_token(tenant, ttl_seconds=MAX_TTL_SECONDS)["token"]
    return {"key": issue_key(account_id), "token": token}


def _sessions(account_id: int, table: str) -> list[str]:
    """Return the ids of the account's sessions that have a row in a table; every account's are the same."""
    key = "id" if table == "core_session" else "session_key"
    known = f"SELECT {key} FROM {table}"  # noqa: S608 - one of three
    rows = fetch_all(
        f"SELECT session_id FROM core_session WHERE account_id = ? AND id IN ({known})",  # noqa: S608
        (account_id,),
    )
    return [row[0] for row in rows]


def main() -> None:
    """Prepare the database that the environment names."""
    from benchmarks.wsgi import app

    sys.stdout.buffer.write(orjson.dumps(prepare(app, int(sys.argv[1]))))


if __name__ == "__main__":
    main()
