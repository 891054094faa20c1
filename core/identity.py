"""Who is calling: finds the credential of a request and what it is good for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from flask import g, request

from core.accounts import Identity, anonymous_identity, authenticate_key
from core.errors import Forbidden, RateLimited, Unauthorized
from core.limits import counted_address
from core.runtime import current
from core.tokens import authenticate_token

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from flask import Request

    from core.limits import Allowance

#: How our keys begin; what else stands behind `Bearer` is a token.
KEY_PREFIX = "sm_"


def require(
    scope: str | None,
    *,
    credentials: Collection[str] = ("key",),
    anonymous_setting: str | None = None,
    message: str | None = None,
) -> Callable[[], None]:
    """Make a `before_request` function that lets in who may use `scope`, and counts the request.

    With None any credential will do, and the view says what it must be good for.
    `credentials` are the kinds taken (`key`, `token`); `anonymous_setting` names the switch that lets requests
    without any credential in as the anonymous account. Raises Unauthorized (with `message`), Forbidden, RateLimited.
    """

    def before_request() -> None:
        if request.method == "OPTIONS":
            return
        identity = _identify(credentials, anonymous_setting, message)
        runtime = current()
        g.identity = identity
        g.allowance = runtime.limits.hit(
            runtime.limits.account, "account", str(identity.account_id)
        )
        if scope is not None:
            demand(scope)

    return before_request


def caller() -> Identity:
    """Return who is calling; only in views of a blueprint that has `require` in front."""
    identity: Identity = g.identity
    return identity


def demand(scope: str) -> None:
    """Raise Forbidden when the caller's credential is not good for a scope."""
    if not caller().allows(scope):
        raise Forbidden(f"The credential lacks the scope {scope}")


def check_session_binding(session_id: str) -> None:
    """Raise Forbidden when the credential is bound to another session than this one."""
    bound = caller().session_id
    if bound is not None and bound != session_id:
        raise Forbidden("Token is not valid for this session")


def read_credentials(req: Request) -> list[str]:
    """Return the keys and tokens of a request: `X-Api-Key` first, then `Authorization: Bearer`."""
    scheme, _, value = req.headers.get("Authorization", "").partition(" ")
    bearer = value if scheme.lower() == "bearer" else ""
    offered = (req.headers.get("X-Api-Key", "").strip(), bearer.strip())
    return [credential for credential in offered if credential]


def authenticate(credential: str, credentials: Collection[str]) -> Identity | None:
    """Return who a credential of one of the kinds speaks for, or None when it does not hold."""
    if credential.startswith(KEY_PREFIX):
        return authenticate_key(credential) if "key" in credentials else None
    if "token" in credentials:
        try:
            return authenticate_token(credential)
        except Unauthorized:
            return None
    return None


def count_by_address(*purpose: str) -> Allowance | None:
    """Count a request that nobody vouches for against its address's limit; raises RateLimited."""
    limits = current().limits
    return limits.hit(limits.address, "address", *purpose, counted_address(request.remote_addr))


def _identify(
    credentials: Collection[str], anonymous_setting: str | None, message: str | None
) -> Identity:
    offered = read_credentials(request)
    for credential in offered:
        if (identity := authenticate(credential, credentials)) is not None:
            return identity
    strangers: Identity | None = current().plugins.hook.authenticate(request=request)
    if strangers is not None:
        return strangers
    try:
        g.allowance = count_by_address()
    except RateLimited as error:
        raise RateLimited(
            "Too many requests without a valid credential", headers=error.headers
        ) from None
    if not offered and anonymous_setting and current().settings[anonymous_setting]:
        return anonymous_identity((anonymous_setting.split("_")[1].lower(),))
    raise Unauthorized(message, missing=not offered)
