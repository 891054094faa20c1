"""Tokens: short-lived JWTs that a browser may hold (RFC 7519), checked as RFC 8725 advises.

Which algorithms are allowed follows from the key that is configured, never from the token.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import time
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeGuard

import jwt

from core import clock
from core.accounts import MAX_TENANT_LENGTH, Identity, tenant_account
from core.errors import BadRequest, ConfigurationError, Unauthorized, Unavailable
from core.runtime import current
from core.sessions import MAX_SESSION_ID_LENGTH, check_session_id

#: Scopes that a token can carry.
TOKEN_SCOPES = ("ingest", "stream")
#: Bytes that a token may have on the wire.
MAX_TOKEN_BYTES = 8 * 1024
#: Bytes that an HS256 secret must have (RFC 7518, section 3.2).
MIN_SECRET_BYTES = 32
#: Seconds that a token issued here lives at most, and when nothing is asked for.
MAX_TTL_SECONDS = 86_400
DEFAULT_TTL_SECONDS = 3_600
#: Tokens that one process remembers as checked.
MAX_REMEMBERED_TOKENS = 10_000
#: Seconds by which the clocks of issuer and server may differ.
LEEWAY = timedelta(seconds=30)
#: Media types that a token may say it has (RFC 7519, 5.1; RFC 9068, 2.1); most say `JWT` or nothing. One that was
#: made for something else is refused (RFC 8725, 3.11).
TYPES = frozenset({"", "jwt", "at+jwt", "application/jwt", "application/at+jwt"})
#: Claims that are a NumericDate (RFC 7519, section 2).
DATES = ("exp", "nbf", "iat")
#: The last second of the year 9999: a later date was not written in seconds.
LATEST_DATE = 253_402_300_799
#: Bits that an RSA key must have (RFC 7518, section 3.3).
MIN_RSA_BITS = 2_048
#: Three parts of base64url, and nothing that a lenient decoder would skip (RFC 7515, sections 2 and 7.1).
_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
#: Checks that are done without a configured value.
_OPTIONS: dict[str, Any] = {"require": ["exp"], "verify_aud": False}


@dataclass(frozen=True)
class VerificationKey:
    """Pair a key with the algorithms it is good for; `key_id` is the JWKS `kid`, if it has one."""

    key: Any
    algorithms: tuple[str, ...]
    key_id: str | None = None


def issue_token(
    tenant: str,
    *,
    session_id: str | None = None,
    scope: str = "ingest",
    ttl_seconds: int = DEFAULT_TTL_SECONDS,
) -> dict[str, Any]:
    """Sign a token for an account and return the body of `POST /v1/tokens`.

    Raises BadRequest for a scope or lifetime that cannot be had, Invalid for an impossible session id, Unavailable
    when no secret is configured.
    """
    if session_id is not None:
        check_session_id(session_id)
    scopes = scope.split()
    if not scopes or set(scopes) - set(TOKEN_SCOPES):
        raise BadRequest(
            f"scope must be one or more of {', '.join(TOKEN_SCOPES)}, separated by a space"
        )
    if not 0 < ttl_seconds <= MAX_TTL_SECONDS:
        raise BadRequest(f"ttl_seconds must be between 1 and {MAX_TTL_SECONDS}")
    settings = current().settings
    secret: str = settings["SUBTEXT_JWT_SECRET"]
    if not secret:
        raise Unavailable("Tokens cannot be issued: SUBTEXT_JWT_SECRET is not set")
    issued = clock.now() // clock.SECOND
    claims: dict[str, Any] = {
        settings["SUBTEXT_JWT_TENANT_CLAIM"]: tenant,
        "scope": " ".join(scopes),
        "iat": issued,
        "exp": issued + ttl_seconds,
    }
    if session_id is not None:
        claims["sid"] = session_id
    if settings["SUBTEXT_JWT_ISSUER"]:
        claims["iss"] = settings["SUBTEXT_JWT_ISSUER"]
    if settings["SUBTEXT_JWT_AUDIENCE"]:
        claims["aud"] = settings["SUBTEXT_JWT_AUDIENCE"]
    return {
        "token": jwt.encode(claims, secret, algorithm="HS256"),
        "token_type": "Bearer",
        "scope": claims["scope"],
        "expires_at": clock.isoformat((issued + ttl_seconds) * clock.SECOND),
    }


def authenticate_token(token: str) -> Identity:
    """Return who a token speaks for; raises Unauthorized when it does not hold, whatever is wrong with it.

    A token that held is remembered by its digest until it expires: a browser sends the same one again and again, and
    checking it costs more than the rest of a small request.
    """
    if len(token) > MAX_TOKEN_BYTES or _COMPACT.fullmatch(token) is None:
        raise Unauthorized("Missing or invalid token")
    digest = hashlib.sha256(token.encode()).hexdigest()
    verified: dict[str, tuple[Identity, float]] = current().caches.setdefault("tokens", {})
    identity, expires_at = verified.get(digest, (None, 0.0))
    if identity is not None and time.time() < expires_at:
        return identity
    claims = _verified_claims(token)
    identity = _identity(claims, digest[:16])
    if len(verified) >= MAX_REMEMBERED_TOKENS:
        verified.clear()
    verified[digest] = (identity, claims["exp"])
    return identity


def _identity(claims: dict[str, Any], fingerprint: str) -> Identity:
    tenant = claims.get(current().settings["SUBTEXT_JWT_TENANT_CLAIM"])
    scope = claims.get("scope", "")
    session_id = claims.get("sid")
    if (
        not _is_text(tenant, MAX_TENANT_LENGTH)
        or not isinstance(scope, str)
        or (session_id is not None and not _is_text(session_id, MAX_SESSION_ID_LENGTH))
        or not all(_is_date(claims[name]) for name in DATES if name in claims)
    ):
        raise Unauthorized("Missing or invalid token")
    account_id, plan = tenant_account(tenant)
    # A token is good for what tokens are for, whatever else its issuer wrote into it.
    scopes = frozenset(scope.split()) & frozenset(TOKEN_SCOPES)
    return Identity(account_id, tenant, plan, scopes, "token", session_id, fingerprint)


def check_token_settings(settings: Any) -> None:
    """Refuse to start with a secret that is too short or a key file that cannot be read."""
    _read_keys(settings)


def _verified_claims(token: str) -> dict[str, Any]:
    settings = current().settings
    keys: tuple[VerificationKey, ...] | None = current().caches.get("verification_keys")
    if keys is None:
        keys = current().caches["verification_keys"] = _read_keys(settings)
    try:
        header = jwt.get_unverified_header(token)
        if str(header.get("typ", "")).lower() not in TYPES or not _is_utf8(token):
            raise Unauthorized("Missing or invalid token")
        algorithm, key_id = header.get("alg"), header.get("kid")
        for candidate in keys:
            if algorithm not in candidate.algorithms:
                continue
            if candidate.key_id is not None and key_id is not None and candidate.key_id != key_id:
                continue
            try:
                return _decode(token, candidate, settings)
            except jwt.InvalidSignatureError:
                continue
    # PyJWT checks types of registered claims late: a list as `exp` ends in TypeError, a huge one in OverflowError.
    except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError):
        pass
    raise Unauthorized("Missing or invalid token")


def _is_utf8(token: str) -> bool:
    # Python's reader of JSON takes UTF-16 and UTF-32 too (RFC 8725, 3.7), which are invalid UTF-8 or have NULs.
    parts = [jwt.utils.base64url_decode(part) for part in token.split(".")[:2]]
    return all("\x00" not in part.decode() for part in parts)


def _decode(token: str, key: VerificationKey, settings: Any) -> dict[str, Any]:
    audience = settings["SUBTEXT_JWT_AUDIENCE"] or None
    options: Any = {**_OPTIONS, "verify_aud": audience is not None}
    if audience is not None:
        options["require"] = ["exp", "aud"]
    claims: dict[str, Any] = jwt.decode(
        token,
        key.key,
        algorithms=list(key.algorithms),
        audience=audience,
        issuer=settings["SUBTEXT_JWT_ISSUER"] or None,
        options=options,
        leeway=LEEWAY,
    )
    return claims


def _read_keys(settings: Any) -> tuple[VerificationKey, ...]:
    keys: list[VerificationKey] = []
    secret: str = settings["SUBTEXT_JWT_SECRET"]
    if secret:
        if len(secret.encode()) < MIN_SECRET_BYTES:
            raise ConfigurationError(
                f"SUBTEXT_JWT_SECRET must have at least {MIN_SECRET_BYTES} bytes"
            )
        keys.append(VerificationKey(secret, ("HS256",)))
    if pem := settings["SUBTEXT_JWT_PUBLIC_KEY"]:
        keys.append(_from_pem(pem))
    if path := settings["SUBTEXT_JWT_JWKS"]:
        keys.extend(_from_jwks(Path(path)))
    return tuple(keys)


def _from_pem(text: str) -> VerificationKey:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    name = "SUBTEXT_JWT_PUBLIC_KEY"
    try:
        pem = text if text.lstrip().startswith("-----BEGIN") else Path(text).read_text()
        # A platform's one-line variable has its line breaks written out.
        key = load_pem_public_key(pem.replace("\\n", "\n").encode())
    except (OSError, ValueError, UnsupportedAlgorithm) as error:
        raise ConfigurationError(f"{name}: no PEM public key can be read from it") from error
    if isinstance(key, RSAPublicKey) and key.key_size >= MIN_RSA_BITS:
        return VerificationKey(key, ("RS256",))
    if isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1):
        return VerificationKey(key, ("ES256",))
    raise ConfigurationError(
        f"{name} must be an RSA key of {MIN_RSA_BITS} bits or more (RS256) or an EC key on P-256 (ES256)"
    )


def _from_jwks(path: Path) -> list[VerificationKey]:
    algorithms = {"RSA": "RS256", "EC": "ES256"}
    try:
        entries = json.loads(path.read_text())["keys"]
        keys = [
            VerificationKey(
                jwt.PyJWK(entry, algorithms[entry["kty"]]).key,
                (algorithms[entry["kty"]],),
                entry.get("kid"),
            )
            for entry in entries
            if entry.get("kty") in algorithms
            and entry.get("use", "sig") == "sig"
            and entry.get("alg", algorithms[entry["kty"]]) == algorithms[entry["kty"]]
        ]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, jwt.PyJWTError) as error:
        raise ConfigurationError(f"SUBTEXT_JWT_JWKS: no key set can be read from {path}") from error
    if not keys:
        raise ConfigurationError(f"SUBTEXT_JWT_JWKS: {path} has no key for RS256 or ES256")
    return keys


_TEXT = re.compile(r"[^\x00\ud800-\udfff]+")


def _is_text(value: object, longest: int) -> TypeGuard[str]:
    return isinstance(value, str) and len(value) <= longest and _TEXT.fullmatch(value) is not None


def _is_date(value: object) -> bool:
    # PyJWT also takes a number in a string, and one of any size: a token that never expires.
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and math.isfinite(value)
        and 0 <= value <= LATEST_DATE
    )
