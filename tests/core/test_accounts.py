from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from core import BadRequest, Conflict, NotFound, accounts, create_account, fetch_all, issue_key
from core.database import release_connection
from core.runtime import EXTENSION
from core.testing import BOTH

if TYPE_CHECKING:
    from flask import Flask

    from core.testing import MakeApp, MakeCaller

both = pytest.mark.parametrize("storage", BOTH, indirect=True)


def test_a_key_is_sm_and_48_hex_digits_and_never_the_same(core_app: Flask) -> None:
    with core_app.app_context():
        account = create_account("Test")
        keys = [issue_key(account.id) for _ in range(3)]

    assert len(set(keys)) == 3
    for key in keys:
        assert key.startswith("sm_")
        assert len(bytes.fromhex(key.removeprefix("sm_"))) == 24


def test_nothing_in_the_database_holds_a_key(core_app: Flask, make_caller: MakeCaller) -> None:
    caller = make_caller(core_app)
    database = core_app.extensions[EXTENSION].database
    with core_app.app_context():
        release_connection()
    stored = b"".join(path.read_bytes() for path in Path(database.database).parent.glob("*.db*"))

    assert caller.tenant.encode() in stored
    assert caller.key.encode() not in stored
    assert bytes.fromhex(caller.key[3:]) not in stored
    # Two more: the column behind the prefix may begin with a letter that could be the key's next digit.
    assert caller.key[: accounts.PREFIX_LENGTH + 2].encode() not in stored


@both
def test_a_key_says_who_is_calling(make_core: MakeApp, make_caller: MakeCaller) -> None:
    app = make_core()
    caller = make_caller(app, "mood", "read", plan="growth")

    with app.app_context():
        identity = accounts.authenticate_key(caller.key)

    assert identity is not None
    assert (identity.account_id, identity.tenant) == (caller.account_id, caller.tenant)
    assert (identity.plan, identity.credential) == ("growth", "key")
    assert identity.scopes == {"mood", "read"}
    assert identity.allows("read")
    assert not identity.allows("ingest")


@pytest.mark.parametrize(
    "key",
    [
        "",
        "sm_",
        "sm_" + "0" * 48,
        "sm_" + "0" * 47,
        "sm_" + "g" * 48,
        "SM_" + "0" * 48,
        "sm_" + "0" * 100_000,
        "sm_\x00",
        "sm_" + "٣" * 48,
        "' OR 1=1 --",
    ],
)
def test_what_is_no_key_of_ours_is_nobody(key: str, core_app: Flask) -> None:
    with core_app.app_context():
        assert accounts.authenticate_key(key) is None


@both
def test_a_revoked_key_is_nobody_at_once(make_core: MakeApp, make_caller: MakeCaller) -> None:
    app = make_core()
    caller = make_caller(app)

    with app.app_context():
        (key,) = accounts.list_keys(caller.account_id)
        accounts.revoke_key(key["id"])
        accounts.revoke_key(key["id"])

        assert accounts.authenticate_key(caller.key) is None
        assert accounts.list_keys(caller.account_id)[0]["revoked_at"] is not None


@both
def test_a_rotated_key_gives_way_to_one_with_the_same_account_and_scopes(
    make_core: MakeApp, make_caller: MakeCaller
) -> None:
    app = make_core()
    caller = make_caller(app, "mood")

    with app.app_context():
        (key,) = accounts.list_keys(caller.account_id)
        fresh = accounts.authenticate_key(accounts.rotate_key(key["id"]))

        assert accounts.authenticate_key(caller.key) is None
        assert fresh is not None
        assert (fresh.account_id, fresh.scopes) == (caller.account_id, frozenset({"mood"}))


def test_a_revoked_key_cannot_be_rotated_into_a_valid_one(
    core_app: Flask, make_caller: MakeCaller
) -> None:
    caller = make_caller(core_app)

    with core_app.app_context():
        (key,) = accounts.list_keys(caller.account_id)
        accounts.revoke_key(key["id"])

        with pytest.raises(Conflict):
            accounts.rotate_key(key["id"])


@both
@pytest.mark.parametrize("number", [0, -1, 99, 2**40, 2**80])
def test_a_key_that_does_not_exist_cannot_be_revoked(number: int, make_core: MakeApp) -> None:
    with make_core().app_context():
        with pytest.raises(NotFound):
            accounts.revoke_key(number)
        with pytest.raises(NotFound):
            accounts.rotate_key(number)


def test_keys_are_listed_per_account_and_never_shown(
    core_app: Flask, make_caller: MakeCaller
) -> None:
    one, two = make_caller(core_app), make_caller(core_app)

    with core_app.app_context():
        everything = accounts.list_keys()

        assert [key["tenant"] for key in everything] == [one.tenant, two.tenant]
        assert [key["tenant"] for key in accounts.list_keys(two.account_id)] == [two.tenant]
    assert one.key not in str(everything)
    assert one.key.startswith(everything[0]["prefix"])


def test_an_unknown_scope_is_refused(core_app: Flask) -> None:
    with core_app.app_context():
        account = create_account("Test")

        with pytest.raises(BadRequest, match="Unknown scope root; there are ingest"):
            issue_key(account.id, ["mood", "root"])


def test_a_self_made_key_is_not_good_for_administration(core_app: Flask) -> None:
    with core_app.app_context():
        identity = accounts.authenticate_key(issue_key(create_account("Test").id))

    assert identity is not None
    assert not identity.allows("admin")


def test_the_admin_scope_is_good_for_everything(core_app: Flask) -> None:
    with core_app.app_context():
        identity = accounts.authenticate_key(issue_key(create_account("Test").id, ["admin"]))

    assert identity is not None
    assert all(identity.allows(scope) for scope in accounts.SCOPES)


@both
def test_a_tenant_name_is_taken_once(make_core: MakeApp) -> None:
    with make_core().app_context():
        create_account("One", tenant="acme")

        with pytest.raises(BadRequest, match="There is an account acme already"):
            create_account("Two", tenant="acme")


@both
def test_a_tenant_that_an_issuer_names_first_gets_one_account(make_core: MakeApp) -> None:
    app = make_core()
    with app.app_context():
        first = accounts.tenant_account("from-a-token")
        app.extensions[EXTENSION].caches.clear()

        assert accounts.tenant_account("from-a-token") == tuple(first)
        assert fetch_all("SELECT COUNT(*) FROM core_account") == [(1,)]
