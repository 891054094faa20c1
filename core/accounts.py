"""Accounts and API keys: who owns data, and what proves it.

A key is `sm_` and 48 hex digits of `secrets`; the database holds its SHA-256, which is enough for a value with 192
random bits (OWASP: a slow hash is for guessable secrets). It is shown once.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from core import clock
from core.database import fetch_all, transaction
from core.errors import BadRequest, Conflict, NotFound
from core.models import Account, ApiKey
from core.runtime import current

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

#: What a credential can be good for: an API each, `read` for what is known across them and for plugins of third
#: parties, `admin` for everything.
SCOPES = ("ingest", "clickstream", "mood", "stream", "read", "admin")
#: What a key may do that anyone can make for themselves.
SELF_SERVICE_SCOPES = tuple(scope for scope in SCOPES if scope != "admin")
#: The account that requests without a key belong to, where a plugin allows such.
ANONYMOUS_TENANT = "anonymous"
DEFAULT_PLAN = "starter"
#: Characters of a key that are kept to tell keys apart.
PREFIX_LENGTH = 10
#: The largest number of a key: the column has 32 bits on PostgreSQL.
MAX_KEY_ID = 2**31 - 1
#: Tenants that one process remembers.
MAX_CACHED_TENANTS = 10_000
_KEY = re.compile(r"sm_[0-9a-f]{48}")
#: Characters that a tenant's name may have.
MAX_TENANT_LENGTH = 256


@dataclass(frozen=True, slots=True)
class Identity:
    """Say who is calling: the account, what the credential allows, and the one session it is bound to, if any."""

    account_id: int
    tenant: str
    plan: str
    scopes: frozenset[str]
    #: `key`, `token`, `anonymous`, or a plugin's own word.
    credential: str
    session_id: str | None = None
    #: What to tell the credential by in limits; never the credential itself.
    fingerprint: str = field(default="", repr=False)

    def allows(self, scope: str) -> bool:
        """Say whether the credential is good for a scope; `admin` is good for all."""
        return scope in self.scopes or "admin" in self.scopes


def create_account(
    name: str, *, email: str | None = None, plan: str = DEFAULT_PLAN, tenant: str | None = None
) -> Account:
    """Create an account; its `tenant` is made up when none is given. Raises BadRequest when it is taken."""
    tenant = tenant or f"acc_{secrets.token_hex(8)}"
    with transaction():
        rows = fetch_all(
            "INSERT INTO core_account (tenant, name, email, plan, created_at) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT (tenant) DO NOTHING RETURNING id",
            (tenant, name, email, plan, clock.now()),
        )
        if not rows:
            raise BadRequest(f"There is an account {tenant} already")
        account: Account = Account.get_by_id(rows[0][0])
        return account


def find_account(tenant: str) -> Account:
    """Return the account with a tenant name; raises NotFound."""
    account: Account | None = Account.get_or_none(Account.tenant == tenant)
    if account is None:
        raise NotFound(f"There is no account {tenant}")
    return account


def tenant_account(tenant: str) -> tuple[int, str]:
    """Return id and plan of a tenant's account, and make it when a trusted issuer names it for the first time."""
    cache: dict[str, tuple[int, str]] = current().caches.setdefault("tenants", {})
    if (known := cache.get(tenant)) is not None:
        return known
    rows = fetch_all("SELECT id, plan FROM core_account WHERE tenant = ?", (tenant,))
    if not rows:
        with transaction():
            fetch_all(
                "INSERT INTO core_account (tenant, name, plan, created_at) VALUES (?, ?, ?, ?)"
                " ON CONFLICT (tenant) DO NOTHING RETURNING id",
                (tenant, tenant, DEFAULT_PLAN, clock.now()),
            )
            rows = fetch_all("SELECT id, plan FROM core_account WHERE tenant = ?", (tenant,))
    if len(cache) < MAX_CACHED_TENANTS:
        cache[tenant] = rows[0]
    return rows[0][0], rows[0][1]


def anonymous_identity(scopes: Collection[str]) -> Identity:
    """Return the identity of a request without a key, where a plugin allows such."""
    account_id, plan = tenant_account(ANONYMOUS_TENANT)
    return Identity(account_id, ANONYMOUS_TENANT, plan, frozenset(scopes), "anonymous")


def issue_key(account_id: int, scopes: Iterable[str] = SELF_SERVICE_SCOPES) -> str:
    """Create a key for an account and return it; it cannot be had again. Raises BadRequest for an unknown scope."""
    wanted = sorted(set(scopes))
    if unknown := set(wanted) - set(SCOPES):
        raise BadRequest(
            f"Unknown scope {', '.join(sorted(unknown))}; there are {', '.join(SCOPES)}"
        )
    key = f"sm_{secrets.token_hex(24)}"
    with transaction():
        ApiKey.create(
            account=account_id,
            digest=_digest(key),
            prefix=key[:PREFIX_LENGTH],
            scopes=" ".join(wanted),
            created_at=clock.now(),
        )
    return key


def authenticate_key(key: str) -> Identity | None:
    """Return who a key belongs to, or None when it is unknown, revoked or no key at all."""
    if _KEY.fullmatch(key) is None:
        return None
    digest = _digest(key)
    rows = fetch_all(
        "SELECT a.id, a.tenant, a.plan, k.scopes FROM core_api_key k JOIN core_account a ON a.id = k.account_id"
        " WHERE k.digest = ? AND k.revoked_at IS NULL",
        (digest,),
    )
    if not rows:
        return None
    account_id, tenant, plan, scopes = rows[0]
    return Identity(account_id, tenant, plan, frozenset(scopes.split()), "key", None, digest[:16])


def list_keys(account_id: int | None = None) -> list[dict[str, Any]]:
    """Return what is known of the keys of an account, or of all: never the keys themselves."""
    query = ApiKey.select(ApiKey, Account).join(Account).order_by(ApiKey.id)
    if account_id is not None:
        query = query.where(ApiKey.account == account_id)
    return [
        {
            "id": key.id,
            "tenant": key.account.tenant,
            "name": key.account.name,
            "plan": key.account.plan,
            "prefix": key.prefix,
            "scopes": key.scopes.split(),
            "created_at": clock.isoformat(key.created_at),
            "revoked_at": clock.isoformat(key.revoked_at) if key.revoked_at else None,
        }
        for key in query
    ]


def revoke_key(key_id: int) -> None:
    """Revoke a key at once; raises NotFound. Revoking twice changes nothing."""
    with transaction():
        key = _get_key(key_id)
        if key.revoked_at is None:
            ApiKey.update(revoked_at=clock.now()).where(ApiKey.id == key_id).execute()


def rotate_key(key_id: int) -> str:
    """Revoke a key and return a new one with the same account and scopes.

    Raises NotFound, and Conflict for a key that is revoked already: nobody holds it rightly.
    """
    with transaction():
        key = _get_key(key_id)
        if key.revoked_at is not None:
            raise Conflict(f"Key {key_id} is revoked: make a new one")
        fresh = issue_key(key.account_id, key.scopes.split())
        revoke_key(key_id)
    return fresh


def _get_key(key_id: int) -> ApiKey:
    key: ApiKey | None = None
    if 0 < key_id <= MAX_KEY_ID:
        key = ApiKey.get_or_none(ApiKey.id == key_id)
    if key is None:
        raise NotFound(f"There is no key {key_id}")
    return key


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
