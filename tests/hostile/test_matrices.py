"""Who may do what: one table for each question, each row one answer."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any

import jwt
import pytest

from core import accounts, migrations
from core.database import fetch_all, release_connection
from core.limits import counted_address
from core.runtime import EXTENSION
from core.testing import JWT_SECRET, bearer, load_factory
from tests.hostile.test_accounts import ATTEMPTS, PATH, bodies

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flask import Flask

    from core.testing import MakeApp

HANDSHAKE = ATTEMPTS["WS /v1/stream/analyze"].headers
KEYS = "/v1/keys/generate"
SHOP = "https://shop.example"


@pytest.fixture(scope="module")
def make_shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Flask]]:
    """Return a function that gives the app with some settings: each is built once for all tests here."""
    built: dict[str, Flask] = {}
    directory = tmp_path_factory.mktemp("shared")

    def make(**settings: Any) -> Flask:
        if repr(settings) not in built:
            app = load_factory()(
                **{
                    "DATABASE_URL": f"sqlite:///{directory / 'subtext.db'}",
                    "REDIS_URL": "",
                    "SUBTEXT_DATA": str(directory),
                    "SUBTEXT_JWT_SECRET": JWT_SECRET,
                    "SUBTEXT_RATE_LIMITS": False,
                    **settings,
                }
            )
            with app.app_context():
                migrations.upgrade()
            built[repr(settings)] = app
        return built[repr(settings)]

    yield make
    for app in built.values():
        with app.app_context():
            release_connection()
            app.extensions[EXTENSION].database.close_all()


# Credentials and addresses.

#: What an address asks for, by how it begins: a scope, and the kinds of credentials that it takes. First fit.
NEEDS: tuple[tuple[str, str | None, str], ...] = (
    ("/api/data/", "ingest", "token"),
    ("/api/v1/clickstream/internal/", "admin", "key"),
    ("/api/v1/clickstream/", "clickstream", "key"),
    ("/session", "clickstream", "key"),
    ("/v1/search/", "clickstream", "key"),
    ("/v1/stream/", "stream", "key token"),
    ("/v1/upload/", "stream", "key token"),
    ("/v1/tokens", "ingest", "key"),
    (f"/v1/sessions/{PATH}/timeline", "read", "key"),
    (KEYS, None, ""),
    ("/v1/", "mood", "key"),
    ("/", None, ""),
)
GUARDED = [
    name
    for name, attempt in ATTEMPTS.items()
    if attempt.alone != 307 and next(n for n in NEEDS if attempt.path.startswith(n[0]))[1]
]


@pytest.fixture(scope="module")
def credentials(make_shared: Callable[..., Flask]) -> dict[str, tuple[dict[str, str], str, str]]:
    """Return credentials of all kinds: their headers, their kind (or none, when they do not hold), their scope."""
    app = make_shared()
    with app.app_context():
        account = accounts.create_account("Matrix")
        keys = {scope: accounts.issue_key(account.id, [scope]) for scope in accounts.SCOPES}
        revoked = accounts.issue_key(account.id, ["admin"])
        accounts.revoke_key(accounts.list_keys(account.id)[-1]["id"])
        rotated = accounts.issue_key(account.id, ["admin"])
        accounts.rotate_key(accounts.list_keys(account.id)[-1]["id"])
    expired = jwt.encode(
        {"tenant": account.tenant, "scope": "ingest stream", "exp": int(time.time()) - 60},
        JWT_SECRET,
    )
    wide = jwt.encode(
        {
            "tenant": account.tenant,
            "scope": "admin read mood clickstream",
            "exp": int(time.time()) + 600,
        },
        JWT_SECRET,
    )
    return {
        **{f"a key for {scope}": ({"X-Api-Key": key}, "key", scope) for scope, key in keys.items()},
        "a key as bearer": ({"Authorization": f"Bearer {keys['admin']}"}, "key", "admin"),
        "a token for ingest": (bearer(app, account.tenant, scope="ingest"), "token", "ingest"),
        "a token for stream": (bearer(app, account.tenant, scope="stream"), "token", "stream"),
        "a token that says admin": ({"Authorization": f"Bearer {wide}"}, "token", "nothing"),
        "a revoked key": ({"X-Api-Key": revoked}, "", ""),
        "a rotated key": ({"X-Api-Key": rotated}, "", ""),
        "an expired token": ({"Authorization": f"Bearer {expired}"}, "", ""),
        "half a key": ({"X-Api-Key": keys["admin"][:-1]}, "", ""),
        "a key in capitals": ({"X-Api-Key": keys["admin"].upper()}, "", ""),
        "a key as user name": ({"Authorization": f"Basic {keys['admin']}"}, "", ""),
        "a cookie": ({"Cookie": f"X-Api-Key={keys['admin']}; api_key={keys['admin']}"}, "", ""),
        "nothing": ({}, "", ""),
    }


@pytest.mark.parametrize("name", GUARDED)
def test_an_address_opens_for_its_scope_and_its_kind_of_credential_alone(
    name: str,
    make_shared: Callable[..., Flask],
    credentials: dict[str, tuple[dict[str, str], str, str]],
) -> None:
    attempt = ATTEMPTS[name]
    _, needed, kinds = next(n for n in NEEDS if attempt.path.startswith(n[0]))
    client = make_shared().test_client()
    path = attempt.path.format(batch="b", export="judgments")
    body = {} if attempt.body in (None, "file") else {"json": attempt.body}
    method = "GET" if name.startswith("WS") else name.partition(" ")[0]
    for who, (headers, kind, scope) in credentials.items():
        with client.open(path, method=method, headers=attempt.headers | headers, **body) as answer:
            if not kind or kind not in kinds:
                assert answer.status_code == 401, who
                assert answer.headers["WWW-Authenticate"] == "Bearer"
            elif scope not in {needed, "admin"}:
                assert answer.status_code == 403, who
            else:
                assert answer.status_code not in {401, 403}, who
    with client.open(f"{path}{'&' if '?' in path else '?'}api_key=x&token=x", method=method) as got:
        assert got.status_code == 401, "no credential is read from a query"


@pytest.mark.parametrize("session", ["mine", "yours", "Mine", "mine ", "mine/", "mine/../yours"])
@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        *[
            ("POST", f"/api/data/{kind}", bodies("x")[kind])
            for kind in ("events", "facial", "voice")
        ],
        ("GET", "/v1/stream/sessions/{}", None),
        ("POST", "/v1/upload/analyze?session_id={}", None),
        ("WS", "/v1/stream/analyze?session_id={}", None),
    ],
)
def test_a_token_bound_to_a_session_opens_that_one_alone(
    method: str, path: str, body: Any, session: str, make_shared: Callable[..., Flask]
) -> None:
    app = make_shared()
    token = bearer(app, "bound", scope="ingest stream", session_id="mine")
    options = {} if body is None else {"json": body | {"sessionId": session}}
    with app.test_client().open(
        path.format(session.replace("/", "%2F")),
        method="GET" if method == "WS" else method,
        headers=(HANDSHAKE if method == "WS" else {}) | token,
        **options,
    ) as answer:
        assert (answer.status_code != 403) is (session == "mine")
        assert answer.status_code != 401


# Keys that anyone can make.


@pytest.mark.parametrize(
    ("on", "body", "status"),
    [
        (True, {"customer_name": "A", "email": "a@b.example"}, 201),
        (True, {"customer_name": "A", "email": "a@b.example", "plan": "pro"}, 201),
        (True, {"customer_name": "A", "email": "a@b.example", "plan": "root"}, 400),
        (True, {"customer_name": "A", "email": "a@b.example", "plan": ["pro"]}, 400),
        (True, {"customer_name": "A", "email": "a@b.example", "plan": {"$ne": 1}}, 400),
        (True, {"customer_name": "A\x00", "email": "a@b.example"}, 400),
        (True, {"customer_name": ["A"], "email": "a@b.example"}, 400),
        (True, {"customer_name": True, "email": "a@b.example"}, 400),
        (True, {"customer_name": "A" * 100_000, "email": "a@b.example"}, 400),
        (True, {"customer_name": "A", "email": "a" * 100_000}, 400),
        (True, {"customer_name": "A", "email": ["a@b.example"]}, 400),
        (True, {"customer_name": " "}, 400),
        (True, {}, 400),
        (True, [], 400),
        (True, None, 415),
        (False, {"customer_name": "A", "email": "a@b.example"}, 403),
        (False, {}, 403),
    ],
)
def test_a_key_is_given_to_whoever_asks_well_and_only_where_that_is_on(
    on: bool,  # noqa: FBT001 (a column of the table)
    body: Any,
    status: int,
    make_shared: Callable[..., Flask],
) -> None:
    answer = make_shared(SUBTEXT_SELF_SERVICE_KEYS=on).test_client().post(KEYS, json=body)

    assert answer.status_code == status
    assert ("sm_" in answer.text) is (status == 201)
    assert (answer.headers.get("Cache-Control") == "no-store") is (status == 201)


@pytest.mark.parametrize(
    "more",
    [
        {"scope": "admin"},
        {"scopes": ["admin"]},
        {"admin": True},
        {"role": "admin", "is_admin": True},
        {"tenant": "acme"},
        {"account_id": 1, "account": 1, "id": 1},
        {"api_key": "sm_" + "0" * 48},
    ],
)
def test_nobody_asks_for_more_than_a_key_of_their_own(
    more: dict[str, Any], make_shared: Callable[..., Flask]
) -> None:
    app = make_shared()
    with app.app_context():
        if not fetch_all("SELECT 1 FROM core_account WHERE tenant = 'acme'"):
            accounts.create_account("Acme", tenant="acme")
    client = app.test_client()

    answer = client.post(KEYS, json={"customer_name": "A", "email": "a@b.example", **more})

    assert answer.status_code == 201
    key = answer.get_json()["api_key"]
    with app.app_context():
        identity = accounts.authenticate_key(key)
        acme, first = accounts.find_account("acme").id, 1
    assert identity is not None
    assert identity.account_id not in {acme, first}
    assert identity.scopes == set(accounts.SELF_SERVICE_SCOPES)
    release = ATTEMPTS["POST /api/v1/clickstream/internal/batch/release"]
    refused = client.post(release.path, json=release.body, headers={"X-Api-Key": key})
    assert refused.status_code == 403


# Addresses that are counted.


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("203.0.113.1", "203.0.113.2", False),
        ("203.0.113.1", "203.0.113.1:4711", True),
        ("203.0.113.1:4711", "203.0.113.1:4712", True),
        ("203.0.113.1", "::ffff:203.0.113.1", True),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff", True),
        ("2001:db8:1:2::1", "2001:DB8:1:2::1", True),
        ("2001:db8:1:2::1", "[2001:db8:1:2::2]:443", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("fe80::1%eth0", "fe80::1", True),
        ("unix:", "unix:", True),
        ("", "203.0.113.1", False),
    ],
)
def test_addresses_of_one_owner_count_as_one(
    one: str,
    other: str,
    same: bool,  # noqa: FBT001 (a column of the table)
) -> None:
    assert (counted_address(one) == counted_address(other)) is same
    assert counted_address(None) == ""


@pytest.mark.parametrize(
    ("proxies", "forwarded"),
    [
        (0, "198.51.100.{}"),
        (0, "{0}, 198.51.100.{0}"),
        (1, "198.51.100.{}, 203.0.113.1"),
        (1, "x{}, 203.0.113.1"),
        (1, "203.0.113.1:{}"),
        (2, "198.51.100.{}, 203.0.113.1, 192.0.2.1"),
        (2, "198.51.100.{0}, 198.51.100.{0}, 203.0.113.1, 192.0.2.1"),
        (1, "2001:db8:0:1::{}"),
        (1, ",,198.51.100.{},, 203.0.113.1"),
    ],
)
def test_what_a_client_writes_into_x_forwarded_for_gives_it_no_new_address(
    proxies: int, forwarded: str, make_app: MakeApp
) -> None:
    client = make_app(SUBTEXT_PROXIES=proxies, SUBTEXT_RATE_LIMITS=True).test_client()
    more = {"X-Real-IP": "{}", "Forwarded": "for=198.51.100.{}", "X-Client-IP": "198.51.100.{}"}
    statuses = [
        client.post(
            KEYS,
            json={},
            headers={
                "X-Forwarded-For": forwarded.format(n),
                **{name: value.format(n) for name, value in more.items()},
            },
        ).status_code
        for n in range(1, 12)
    ]

    assert statuses == [400] * 10 + [429]


# Origins.


@pytest.mark.parametrize(
    ("listed", "origin", "allowed"),
    [
        ((SHOP,), SHOP, True),
        ((SHOP,), "http://shop.example", False),
        ((SHOP,), "https://shop.example:8443", False),
        ((SHOP,), "https://shop.example.evil.example", False),
        ((SHOP,), "https://evil.example/https://shop.example", False),
        ((SHOP,), "https://shop.example@evil.example", False),
        ((SHOP,), "https://shop-example", False),
        ((SHOP,), "https://sub.shop.example", False),
        ((SHOP,), f"{SHOP} {SHOP}", False),
        ((SHOP,), f"{SHOP}, https://evil.example", False),
        ((SHOP,), "null", False),
        (("http://[::1]:3000",), "http://[::1]:3000", True),
        (("http://[::1]:3000",), "http://1:3000", False),
        (("http://[::1]:3000",), "http://1:30001", False),
        (("http://[::1]:3000",), "http://[::1]:30001", False),
        (("*",), "null", True),
        (("*",), "https://anywhere.example", True),
        ((), SHOP, False),
    ],
)
@pytest.mark.parametrize("method", ["OPTIONS", "GET", "POST"])
def test_a_page_reads_answers_where_its_origin_is_listed_and_never_with_cookies(
    listed: tuple[str, ...],
    origin: str,
    allowed: bool,  # noqa: FBT001 (a column of the table)
    method: str,
    make_shared: Callable[..., Flask],
) -> None:
    answer = (
        make_shared(SUBTEXT_CORS_ORIGINS=listed)
        .test_client()
        .open(
            "/v1/tokens",
            method=method,
            headers={
                "Origin": origin,
                "Access-Control-Request-Method": "POST",
                "Access-Control-Request-Headers": "x-api-key, cookie, x-evil",
            },
        )
    )

    given = answer.headers.get("Access-Control-Allow-Origin")
    assert given == (None if not allowed else "*" if "*" in listed else origin)
    assert "Access-Control-Allow-Credentials" not in answer.headers
    offered = answer.headers.get("Access-Control-Allow-Headers", "").lower()
    assert "cookie" not in offered
    assert "evil" not in offered
    assert "TRACE" not in answer.headers.get("Access-Control-Allow-Methods", "")


@pytest.mark.parametrize("place", ["Authorization", "X-Api-Key", "Sec-WebSocket-Protocol", ""])
@pytest.mark.parametrize(
    ("origin", "allowed"),
    [
        (SHOP, True),
        (None, True),  # no browser
        ("null", False),
        ("", False),
        ("https://evil.example", False),
        ("https://shop.example:8443", False),
        ("http://shop.example", False),
        ("HTTPS://SHOP.EXAMPLE", False),
        ("https://shop.example.", False),
        ("https://shop.example/", False),
        (f"{SHOP}, https://evil.example", False),
    ],
)
def test_a_page_opens_a_socket_where_its_origin_is_listed_whatever_its_credential(
    origin: str | None,
    allowed: bool,  # noqa: FBT001 (a column of the table)
    place: str,
    make_shared: Callable[..., Flask],
) -> None:
    app = make_shared(SUBTEXT_STREAM_ORIGINS=(SHOP,))
    token = bearer(app, "socket", scope="stream")["Authorization"].partition(" ")[2]
    forms = {"Authorization": f"Bearer {token}", "Sec-WebSocket-Protocol": f"access_token, {token}"}
    headers = {**HANDSHAKE, place: forms.get(place, token)} if place else dict(HANDSHAKE)
    if origin is not None:
        headers["Origin"] = origin

    answer = app.test_client().get(f"/v1/stream/analyze?token={token}", headers=headers)

    # 503: it is let in as far as the Redis that is not there.
    assert answer.status_code == (401 if not place else 503 if allowed else 403)


# Operators.


@pytest.mark.parametrize(
    ("token", "headers", "status"),
    [
        ("", {}, 200),
        ("s3cret-token", {}, 401),
        ("s3cret-token", {"Authorization": "Bearer s3cret-token"}, 200),
        ("s3cret-token", {"Authorization": "Bearer s3cret-toke"}, 401),
        ("s3cret-token", {"Authorization": "Bearer s3cret-token2"}, 401),
        ("s3cret-token", {"Authorization": "Bearer S3CRET-TOKEN"}, 401),
        ("s3cret-token", {"Authorization": "Basic s3cret-token"}, 401),
        ("s3cret-token", {"Authorization": "s3cret-token"}, 401),
        ("s3cret-token", {"Authorization": "Bearer \xff\xfe"}, 401),
        ("s3cret-token", {"Authorization": "Bearer"}, 401),
        ("s3cret-token", {"Cookie": "token=s3cret-token"}, 401),
    ],
)
def test_metrics_are_for_who_has_their_token(
    token: str, headers: dict[str, str], status: int, make_shared: Callable[..., Flask]
) -> None:
    client = make_shared(SUBTEXT_METRICS_TOKEN=token).test_client()

    assert client.get("/metrics", headers=headers).status_code == status
    assert client.head("/metrics", headers=headers).status_code == status
    if token:
        assert client.get(f"/metrics?token={token}").status_code == 401


# What every answer says to browsers and caches.


@pytest.mark.parametrize("name", ATTEMPTS)
def test_no_cache_keeps_what_a_credential_opened_and_no_other_method_gets_around_it(
    name: str, make_shared: Callable[..., Flask], credentials: dict[str, Any]
) -> None:
    attempt = ATTEMPTS[name]
    client = make_shared().test_client()
    path = attempt.path.format(batch="b", export="judgments")
    is_guarded = name in GUARDED
    kind = "a token for ingest" if path.startswith("/api/data/") else "a key for admin"
    for method in ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "QUERY"):
        with client.open(path, method=method) as stranger:
            assert not (is_guarded and stranger.status_code < 400 and method != "OPTIONS"), method
            assert method not in {"TRACE", "QUERY", "PUT"} or stranger.status_code == 405
        with client.open(path, method=method, headers=credentials[kind][0]) as answer:
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            if is_guarded and answer.status_code != 405 and method != "OPTIONS":
                assert answer.headers["Cache-Control"] == "no-store", method
            if method in {"HEAD", "OPTIONS"}:
                assert answer.get_data() == b""
    override = {"X-HTTP-Method-Override": "GET", "X-Method-Override": "GET"}
    with client.open(path, method="QUERY", headers=override) as overridden:
        assert overridden.status_code == 405


@pytest.mark.parametrize(
    "path", ["/docs/", "/docs/oauth2-redirect.html", "/docs/stream", "/demo/stream"]
)
def test_a_page_runs_its_own_scripts_alone_and_is_in_nobodys_frame(
    path: str, make_shared: Callable[..., Flask]
) -> None:
    with make_shared().test_client().get(path) as answer:
        page = answer.get_data(as_text=True)

    assert answer.mimetype == "text/html"
    policy = dict(
        rule.strip().partition(" ")[::2]
        for rule in answer.headers["Content-Security-Policy"].split(";")
    )
    assert policy["default-src"] == "'none'"
    assert policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert re.fullmatch(r"'self'( 'sha256-[\w+/=]+')*", policy["script-src"])
    assert policy["script-src"].count("sha256") == len(re.findall(r"<script>", page))
    assert set(policy["connect-src"].split()) <= {"'self'", "ws:", "wss:"}
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert not re.findall(r"""(?:src|href)=["']?(?:https?:)?//""", page)


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "evil.example/x"])
@pytest.mark.parametrize(
    "path", ["/docs", "/session/", "//evil.example/docs", "/docs?a=//evil.example"]
)
def test_no_redirect_leads_to_another_server(
    path: str, host: str, make_shared: Callable[..., Flask]
) -> None:
    client = make_shared(SUBTEXT_PROXIES=1).test_client()
    headers = {"Host": host, "X-Forwarded-Host": host, "X-Forwarded-Prefix": "//evil.example"}

    answer = client.get(path, headers=headers)

    assert re.fullmatch(r"|/[^/\\].*", answer.headers.get("Location", ""))
    assert host not in answer.text or host in path
