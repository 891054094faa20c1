from __future__ import annotations

from typing import TYPE_CHECKING

import click
import pytest

from core import accounts, hookimpl
from core.factory import build_app
from core.tokens import authenticate_token

if TYPE_CHECKING:
    from click.testing import Result
    from flask import Flask

    from core.testing import MakeApp, MakeCaller


def run(app: Flask, *arguments: str) -> Result:
    return app.test_cli_runner().invoke(args=list(arguments))


class Talker:
    @hookimpl
    def register_commands(self, cli: click.Group) -> None:
        @cli.command("say")
        @click.argument("word")
        def say(word: str) -> None:
            click.echo(f"{word}!")


def test_a_key_is_made_shown_once_and_works(core_app: Flask) -> None:
    made = run(core_app, "keys", "create", "--name", "Acme", "--plan", "growth")

    key = made.stdout.strip()
    with core_app.app_context():
        identity = accounts.authenticate_key(key)
    assert made.exit_code == 0
    assert identity is not None
    assert identity.plan == "growth"
    assert not identity.allows("admin")
    assert key not in run(core_app, "keys", "list").output


def test_a_key_can_be_made_for_an_account_that_exists(
    core_app: Flask, make_caller: MakeCaller
) -> None:
    someone = make_caller(core_app)

    made = run(
        core_app,
        *("keys", "create", "--name", "x", "--tenant", someone.tenant),
        *("--scope", "mood", "--scope", "read", "--admin"),
    )

    with core_app.app_context():
        identity = accounts.authenticate_key(made.stdout.strip())
    assert identity is not None
    assert identity.account_id == someone.account_id
    assert identity.scopes == {"mood", "read", "admin"}


def test_keys_are_listed_revoked_and_rotated_by_their_number(
    core_app: Flask, make_caller: MakeCaller
) -> None:
    someone = make_caller(core_app)
    number, prefix, tenant, *_ = run(core_app, "keys", "list").output.split("\t")
    assert (someone.key.startswith(prefix.rstrip("…")), tenant) == (True, someone.tenant)

    fresh = run(core_app, "keys", "rotate", number).stdout.strip()
    with core_app.app_context():
        assert accounts.authenticate_key(someone.key) is None
        assert accounts.authenticate_key(fresh) is not None
    assert run(core_app, "keys", "revoke", str(int(number) + 1)).exit_code == 0
    with core_app.app_context():
        assert accounts.authenticate_key(fresh) is None
    assert run(core_app, "keys", "list").output.count("revoked") == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("keys", "revoke", "99"), "There is no key 99"),
        (("keys", "revoke", str(2**80)), "There is no key"),
        (("keys", "rotate", "99"), "There is no key 99"),
        (("keys", "list", "--tenant", "nobody"), "There is no account nobody"),
        (("keys", "create", "--name", "x", "--scope", "root"), "Unknown scope root"),
        (("keys", "create", "--name", "x", "--tenant", "nobody"), "There is no account nobody"),
        (("tokens", "issue", "--tenant", "nobody"), "There is no account nobody"),
        (("db", "downgrade", "none"), "There is no series none"),
        (("db", "downgrade", "core", "0009"), "0009"),
        (("jobs", "list"), "REDIS_URL is not set"),
    ],
)
def test_a_mistake_is_told_in_a_sentence(
    arguments: tuple[str, ...], said: str, core_app: Flask
) -> None:
    result = run(core_app, *arguments)

    assert result.exit_code == 1
    assert said in result.output
    assert "Traceback" not in result.output


def test_a_token_is_issued_for_one_session(core_app: Flask, make_caller: MakeCaller) -> None:
    someone = make_caller(core_app)

    result = run(
        core_app,
        *("tokens", "issue", "--tenant", someone.tenant, "--session", "s", "--ttl", "60"),
        *("--scope", "ingest stream"),
    )

    with core_app.app_context():
        identity = authenticate_token(result.stdout.strip())
    assert (identity.account_id, identity.session_id) == (someone.account_id, "s")
    assert identity.scopes == {"ingest", "stream"}


@pytest.mark.parametrize(
    "option", [("--ttl", "0"), ("--ttl", "86401"), ("--scope", "admin"), ("--session", "")]
)
def test_an_impossible_token_is_refused(
    option: tuple[str, str], core_app: Flask, make_caller: MakeCaller
) -> None:
    result = run(core_app, "tokens", "issue", "--tenant", make_caller(core_app).tenant, *option)

    assert result.exit_code == 1
    assert "Traceback" not in result.output


def test_migrations_are_applied_shown_and_taken_back(make_core: MakeApp) -> None:
    app = make_core()
    everything = "{0}  core/0001_initial\n{0}  core/0002_keys\n"
    assert run(app, "db", "status").output == everything.format("applied")
    assert run(app, "db", "upgrade").output == "nothing to apply\n"

    taken_back = run(app, "db", "downgrade", "core", "0001_initial").output
    assert taken_back == "took back core/0002_keys\ntook back core/0001_initial\n"
    pending = run(app, "db", "status")
    assert (pending.exit_code, pending.output) == (1, everything.format("pending"))
    assert "migrated (flask db upgrade)" in run(app, "keys", "list").output
    assert run(app, "db", "upgrade").output == "applied core/0001_initial\napplied core/0002_keys\n"


def test_a_database_that_is_not_there_is_told_in_a_sentence() -> None:
    app = build_app({}, {"DATABASE_URL": "sqlite:////no/such/place/x.db"}, discover=False)

    result = run(app, "db", "status")

    assert result.exit_code == 1
    assert "unable to open database file" in result.output


def test_plugins_are_listed_with_their_origin_and_hooks(make_core: MakeApp) -> None:
    app = make_core(plugins={"talker": Talker()})

    assert run(app, "plugins", "list").output == "talker\tgiven\tregister_commands\n"


def test_a_plugin_has_its_commands_below_its_name(make_core: MakeApp) -> None:
    app = make_core(plugins={"talker": Talker()})

    assert run(app, "talker", "say", "hello").output == "hello!\n"


def test_the_outbox_can_be_looked_at_without_redis(core_app: Flask) -> None:
    assert "0 in the outbox" in run(core_app, "jobs", "outbox").output
    assert run(core_app, "jobs", "retry-outbox").output == "due again: 0\n"
