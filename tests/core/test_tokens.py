from __future__ import annotations

import base64
import json
import re
import time
import zlib
from functools import partial
from typing import TYPE_CHECKING, Any

import jwt
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from core import BadRequest, ConfigurationError, Invalid, Unauthorized, Unavailable
from core.factory import build_app
from core.testing import JWT_SECRET, bearer
from core.tokens import authenticate_token, issue_token

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from flask import Flask
    from flask.testing import FlaskClient

    from core.testing import MakeApp, MakeCaller

Json = dict[str, Any]


def public_pem(key: Any) -> str:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return str(key.public_key().public_bytes(serialization.Encoding.PEM, form).decode())


RSA_KEY = rsa.generate_private_key(65537, 2048)
OTHER_RSA_KEY = rsa.generate_private_key(65537, 2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())
EDGE = 1_900_000_000


def claims(**changes: Any) -> Json:
    good = {"tenant": "acme", "scope": "ingest", "exp": int(time.time()) + 600}
    return {name: value for name, value in {**good, **changes}.items() if value is not ...}


def signed(payload: Any = None, *, key: Any = JWT_SECRET, alg: str = "HS256", **header: Any) -> str:
    return jwt.encode(claims() if payload is None else payload, key, alg, headers=header or None)


def encoded(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def raw(header: Any, payload: Any, key: str = JWT_SECRET) -> str:
    """Sign whatever text stands in header and payload, as an issuer with our secret could."""
    body = f"{encoded(header)}.{encoded(payload)}"
    algorithm = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
    signature = algorithm.sign(body.encode(), key.encode())
    return f"{body}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def raw_bytes(header: Any, payload: bytes) -> str:
    """Sign bytes that are no JSON."""
    return jwt.PyJWS().encode(payload, JWT_SECRET, "HS256", headers=header)


HS256 = {"alg": "HS256", "typ": "JWT"}


def with_exp(text: str) -> str:
    return raw(HS256, f'{{"tenant": "acme", "scope": "ingest", "exp": {text}}}')


def with_date(name: str, text: str) -> str:
    payload = f'"tenant": "acme", "scope": "ingest", "exp": {EDGE}, "{name}": {text}'
    return raw(HS256, f"{{{payload}}}")


def variants(
    name: str, make: Callable[[Any], str], values: Iterable[Any]
) -> dict[str, Callable[[], str]]:
    return {name.format(value): partial(make, value) for value in values}


NO_DATES = ("NaN", "Infinity", "true", '"0"', "null", "-1", str(10**30), "1e400", "{}")
HOSTILE: dict[str, Callable[[], str]] = {
    "nothing at all": lambda: "",
    "no token": lambda: "garbage",
    "only dots": lambda: "..",
    "four dots": lambda: f"{signed()}.x.y",
    "not base64": lambda: "ä.ö.ü",
    "NUL": lambda: f"\x00{signed()}",
    "alg none": lambda: f"{encoded({'alg': 'none'})}.{encoded(claims())}.",
    "alg None": lambda: f"{encoded({'alg': 'None'})}.{encoded(claims())}.",
    "alg missing": lambda: raw({"typ": "JWT"}, claims()),
    "alg a list": lambda: raw({"alg": ["HS256"]}, claims()),
    "alg an object": lambda: raw({"alg": {"HS256": 1}}, claims()),
    "signature cut off": lambda: signed().rpartition(".")[0] + ".",
    "signature changed": lambda: signed()[:-4] + "AAAA",
    "payload changed": lambda: ".".join(
        [signed().split(".")[0], encoded(claims(tenant="other")), signed().split(".")[2]]
    ),
    "another secret": lambda: signed(key="another secret of thirty-two bytes and more"),
    "HS512 with our secret": lambda: signed(key=JWT_SECRET * 2, alg="HS512"),
    "RS256 where only a secret is": lambda: signed(key=RSA_KEY, alg="RS256"),
    "header no object": lambda: raw([1], claims()),
    "header no JSON": lambda: raw("{", claims()),
    "payload a list": lambda: raw(HS256, [claims()]),
    "payload no JSON": lambda: raw(HS256, "{"),
    "payload null": lambda: raw(HS256, "null"),
    "payload nested deep": lambda: raw(HS256, "[" * 3_000),
    "header nested deep": lambda: raw("[" * 3_000, claims()),
    "kid a number": lambda: raw({**HS256, "kid": 1}, claims()),
    "kid a path and crit": lambda: raw(
        {**HS256, "kid": "../../etc/passwd", "crit": ["kid2"]}, claims()
    ),
    "unencoded payload": lambda: raw({**HS256, "b64": False, "crit": ["b64"]}, claims()),
    "typ of something else": lambda: raw({**HS256, "typ": "dpop+jwt"}, claims()),
    "typ of encryption": lambda: raw({**HS256, "typ": "JWE"}, claims()),
    "typ a number": lambda: raw({**HS256, "typ": 7}, claims()),
    "a token in a token": lambda: raw({**HS256, "cty": "JWT"}, f'"{signed()}"'),
    **variants(
        "alg {!r}",
        lambda alg: raw({"alg": alg}, claims()),
        ("none", "NONE", "nOnE", "None ", "", None, "hs256", "HS256 ", "HS384", "dir"),
    ),
    "alg none with an empty header value": lambda: f"{encoded({'alg': ''})}.{encoded(claims())}.",
    "alg twice, none last": lambda: raw('{"alg": "HS256", "alg": "none"}', claims()),
    "the signing key in the header": lambda: signed(
        key=OTHER_RSA_KEY, alg="RS256", jwk=as_jwk(OTHER_RSA_KEY), kid="mine"
    ),
    "a symmetric key in the header": lambda: raw(
        {**HS256, "jwk": {"kty": "oct", "k": encoded("x" * 32)}}, claims(), key="x" * 32
    ),
    **variants(
        "{} leads elsewhere",
        lambda name: signed(key=OTHER_RSA_KEY, alg="RS256", **{name: "http://127.0.0.1:9/keys"}),
        ("jku", "x5u"),
    ),
    "a certificate in the header": lambda: signed(
        key=OTHER_RSA_KEY, alg="RS256", x5c=[encoded("certificate")]
    ),
    **variants(
        "kid {}",
        lambda kid: raw({**HS256, "kid": kid}, claims(), key=""),
        ("../../../../dev/null", "x' UNION SELECT 'secret' --", "|id", "\x00"),
    ),
    "crit of what nobody knows": lambda: raw({**HS256, "crit": ["x"], "x": 1}, claims()),
    "crit no list": lambda: raw({**HS256, "crit": "exp"}, claims()),
    "crit an empty list": lambda: raw({**HS256, "crit": []}, claims()),
    "b64 false without crit": lambda: raw({**HS256, "b64": False}, claims()),
    "a compressed payload": lambda: raw_bytes({**HS256, "zip": "DEF"}, zlib.compress(b"{" * 10**6)),
    "a payload in UTF-16": lambda: raw_bytes(HS256, json.dumps(claims()).encode("utf-16")),
    "encrypted": lambda: ".".join(
        [encoded({"alg": "dir", "enc": "A256GCM", "cty": "JWT"}), "", "aXY", "Y3Q", "dGFn"]
    ),
    "encrypted twice": lambda: ".".join([encoded({"alg": "dir", "enc": "A256GCM"})] * 5),
    "as JSON": lambda: json.dumps({"payload": encoded(claims()), "signatures": [{}]}),
    **variants(
        "changed to {}",
        lambda form: form.format(*signed().split("."), whole=signed()),
        (
            "{whole}=",
            "{whole} ",
            " {whole}",
            "{whole}\n",
            "{whole}\x00",
            "{whole}.",
            "{whole}\ud800",
            "{whole}\u0663",
            "{whole}, {whole}",
            "Bearer {whole}",
            "{0}.{1}. {2}",
            "{0}.{1}.!{2}",
            "{0}.{1}.{2}+",
            "{0}.{1}.{2}/",
            "{0}\uff0e{1}\uff0e{2}",
            "{0}..{2}",
            ".{1}.{2}",
            "{1}.{2}",
            "{0}.{1}",
        ),
    ),
    "a megabyte": lambda: "a" * 1024 * 1024,
    "a megabyte of dots": lambda: "." * 1024 * 1024,
    "nine kibibytes": lambda: signed(claims(padding="x" * 9 * 1024)),
    "exp missing": lambda: signed(claims(exp=...)),
    "exp null": lambda: with_exp("null"),
    "exp past": lambda: signed(claims(exp=int(time.time()) - 60)),
    "exp a list": lambda: with_exp("[1]"),
    "exp an object": lambda: with_exp("{}"),
    "exp true": lambda: with_exp("true"),
    "exp a string": lambda: with_exp(f'"{EDGE}"'),
    "exp NaN": lambda: with_exp("NaN"),
    "exp Infinity": lambda: with_exp("Infinity"),
    "exp 1e400": lambda: with_exp("1e400"),
    "exp of 5,000 digits": lambda: with_exp("9" * 5_000),
    "exp in milliseconds": lambda: with_exp(str(EDGE * 1_000)),
    "exp huge": lambda: with_exp(str(10**30)),
    **variants("nbf {}", lambda text: with_date("nbf", text), NO_DATES),
    **variants("iat {}", lambda text: with_date("iat", text), NO_DATES),
    "exp negative": lambda: with_exp("-1"),
    "exp zero": lambda: with_exp("0"),
    "exp twice, past last": lambda: with_exp(f'{EDGE}, "exp": 1'),
    "tenant twice, none last": lambda: raw(
        HS256, f'{{"tenant": "a", "exp": {EDGE}, "tenant": ""}}'
    ),
    "tenant an object": lambda: signed(claims(tenant={"acme": 1})),
    "sid a list": lambda: signed(claims(sid=["s1"])),
    "sid true": lambda: signed(claims(sid=True)),
    "scope an object": lambda: signed(claims(scope={"ingest": True})),
    "sub a number": lambda: signed(claims(sub=1)),
    "jti a number": lambda: signed(claims(jti=1)),
    "nbf ahead": lambda: signed(claims(nbf=int(time.time()) + 600)),
    "nbf a string": lambda: raw(HS256, claims(nbf="1")),
    "iat ahead": lambda: signed(claims(iat=int(time.time()) + 600)),
    "iat a list": lambda: raw(HS256, claims(iat=[])),
    "tenant missing": lambda: signed(claims(tenant=...)),
    "tenant null": lambda: signed(claims(tenant=None)),
    "tenant empty": lambda: signed(claims(tenant="")),
    "tenant a number": lambda: signed(claims(tenant=1)),
    "tenant true": lambda: signed(claims(tenant=True)),
    "tenant a list": lambda: signed(claims(tenant=["acme"])),
    "tenant with NUL": lambda: signed(claims(tenant="ac\x00me")),
    "tenant with half a character": lambda: signed(claims(tenant="ac\ud800me")),
    "tenant too long": lambda: signed(claims(tenant="x" * 257)),
    "scope a list": lambda: signed(claims(scope=["ingest"])),
    "scope null": lambda: signed(claims(scope=None)),
    "sid a number": lambda: signed(claims(sid=1)),
    "sid empty": lambda: signed(claims(sid="")),
    "sid too long": lambda: signed(claims(sid="s" * 257)),
    "sid with NUL": lambda: signed(claims(sid="s\x00")),
}


def refused(app: Flask, token: str) -> bool:
    with app.app_context():
        try:
            authenticate_token(token)
        except Unauthorized as error:
            return error.message == "Missing or invalid token"
    return False


def test_a_hostile_token_is_refused_and_nothing_else_happens(core_app: Flask) -> None:
    assert [name for name, make in HOSTILE.items() if not refused(core_app, make())] == []


@pytest.mark.parametrize(
    ("path", "name", "form"),
    [
        ("/api/data/events", "Authorization", "Bearer {}"),
        ("/v1/stream/sessions/s", "X-Api-Key", "{}"),
        ("/v1/stream/analyze", "Authorization", "Bearer {}"),
        ("/v1/stream/analyze", "Sec-WebSocket-Protocol", "{}"),
        ("/v1/stream/analyze", "Sec-WebSocket-Protocol", "access_token, {}"),
    ],
)
def test_no_hostile_token_opens_a_door_or_a_socket(
    path: str, name: str, form: str, client: FlaskClient
) -> None:
    upgrade = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}
    handshake = {**upgrade, "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="}
    if not path.endswith("/analyze"):
        handshake = {}
    method = "POST" if path.startswith("/api/") else "GET"
    tokens = {each: make() for each, make in HOSTILE.items()}
    # What a header can carry.
    sendable = {
        each: token
        for each, token in tokens.items()
        if re.fullmatch(r"[\x21-\xff]{1,20000}", token)
    }

    assert len(sendable) > 80
    for each, token in sendable.items():
        headers = {**handshake, name: form.format(token)}
        answer = client.open(path, method=method, headers=headers)
        assert answer.status_code == 401, each
    good = {**handshake, name: form.format(signed(claims(scope="ingest stream")))}
    assert client.open(path, method=method, headers=good).status_code != 401


def test_a_good_token_says_who_is_calling(core_app: Flask) -> None:
    with core_app.app_context():
        identity = authenticate_token(signed(claims(sid="s1", scope="ingest stream")))

    assert (identity.tenant, identity.session_id) == ("acme", "s1")
    assert identity.scopes == {"ingest", "stream"}
    assert identity.credential == "token"


@pytest.mark.parametrize("typ", ["JWT", "jwt", "at+jwt", "application/at+jwt"])
def test_the_usual_types_of_tokens_are_taken(typ: str, core_app: Flask) -> None:
    assert not refused(core_app, signed(typ=typ))


def test_clocks_may_differ_by_half_a_minute(core_app: Flask) -> None:
    now = int(time.time())

    assert not refused(core_app, signed(claims(exp=now - 10, nbf=now + 10, iat=now + 10)))


def test_a_token_is_never_good_for_what_keys_are_for(core_app: Flask) -> None:
    with core_app.app_context():
        identity = authenticate_token(signed(claims(scope="admin mood read ingest")))

    assert identity.scopes == {"ingest"}


def test_without_any_key_no_token_holds(make_core: MakeApp) -> None:
    assert refused(make_core(SUBTEXT_JWT_SECRET=""), signed())


@pytest.mark.parametrize(
    ("changes", "holds"),
    [
        ({}, True),
        ({"aud": ["subtext", "other"]}, True),
        ({"aud": "other"}, False),
        ({"aud": ...}, False),
        ({"aud": 1}, False),
        ({"aud": [None]}, False),
        ({"iss": "elsewhere"}, False),
        ({"iss": ...}, False),
        ({"iss": ["sign-in"]}, False),
    ],
)
def test_audience_and_issuer_must_be_the_configured_ones(
    changes: Json,
    holds: bool,  # noqa: FBT001 (a column of the table)
    make_core: MakeApp,
) -> None:
    app = make_core(SUBTEXT_JWT_AUDIENCE="subtext", SUBTEXT_JWT_ISSUER="sign-in")
    payload = claims(**{"aud": "subtext", "iss": "sign-in", **changes})

    assert refused(app, raw(HS256, payload)) is not holds


def test_issued_tokens_carry_the_configured_audience_and_issuer(make_core: MakeApp) -> None:
    app = make_core(SUBTEXT_JWT_AUDIENCE="subtext", SUBTEXT_JWT_ISSUER="sign-in")

    with app.app_context():
        assert authenticate_token(issue_token("acme")["token"]).tenant == "acme"


@pytest.mark.parametrize(("key", "algorithm"), [(RSA_KEY, "RS256"), (EC_KEY, "ES256")])
def test_tokens_of_the_operators_own_sign_in_hold(
    key: Any, algorithm: str, make_core: MakeApp
) -> None:
    app = make_core(SUBTEXT_JWT_SECRET="", SUBTEXT_JWT_PUBLIC_KEY=public_pem(key))

    assert not refused(app, signed(key=key, alg=algorithm))


def es256(r: int, s: int, signature: str | None = None) -> str:
    """Return a token with an ES256 signature made of two numbers."""
    body = f"{encoded({'alg': 'ES256'})}.{encoded(claims())}"
    numbers = r.to_bytes(32, "big") + s.to_bytes(32, "big")
    return f"{body}.{signature or base64.urlsafe_b64encode(numbers).rstrip(b'=').decode()}"


#: The order of the base point of P-256 (SEC 2, version 2, section 2.4.2).
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def test_an_elliptic_signature_of_zeros_or_in_another_form_proves_nothing(
    make_core: MakeApp,
) -> None:
    app = make_core(SUBTEXT_JWT_SECRET="", SUBTEXT_JWT_PUBLIC_KEY=public_pem(EC_KEY))
    body = f"{encoded({'alg': 'ES256'})}.{encoded(claims())}"
    der = base64.urlsafe_b64encode(EC_KEY.sign(body.encode(), ec.ECDSA(hashes.SHA256())))

    # CVE-2022-21449 took the first; DER is what X.509 has, RFC 7518, 3.4, wants the two numbers.
    for r, s in ((0, 0), (0, 1), (1, 0), (ORDER, ORDER), (1, 1), (2**256 - 1, 2**256 - 1)):
        assert refused(app, es256(r, s))
    assert refused(app, es256(0, 0, der.rstrip(b"=").decode()))


def test_either_form_of_an_elliptic_signature_is_the_same_caller(make_core: MakeApp) -> None:
    app = make_core(SUBTEXT_JWT_SECRET="", SUBTEXT_JWT_PUBLIC_KEY=public_pem(EC_KEY))
    body, _, signature = signed(key=EC_KEY, alg="ES256").rpartition(".")
    numbers = base64.urlsafe_b64decode(signature + "==")
    other = (ORDER - int.from_bytes(numbers[32:], "big")).to_bytes(32, "big")
    twin = f"{body}.{base64.urlsafe_b64encode(numbers[:32] + other).rstrip(b'=').decode()}"

    # Half of all signers' signatures have the higher number (RFC 7518 asks for neither): both must hold.
    with app.app_context():
        one, two = authenticate_token(f"{body}.{signature}"), authenticate_token(twin)
    assert (one.tenant, one.scopes) == (two.tenant, two.scopes)


def test_of_two_equal_claims_the_last_holds_everywhere(core_app: Flask) -> None:
    doubled = raw(HS256, f'{{"tenant": "first", "tenant": "last", "exp": {EDGE}}}')

    with core_app.app_context():
        assert authenticate_token(doubled).tenant == "last"


def test_a_public_key_may_come_in_one_line_or_in_a_file(make_core: MakeApp, tmp_path: Path) -> None:
    file = tmp_path / "key.pem"
    file.write_text(public_pem(RSA_KEY))
    one_line = public_pem(RSA_KEY).replace("\n", "\\n")

    for given in (one_line, str(file)):
        app = make_core(SUBTEXT_JWT_PUBLIC_KEY=given)
        assert not refused(app, signed(key=RSA_KEY, alg="RS256"))


def test_a_public_key_cannot_be_used_as_a_secret(make_core: MakeApp) -> None:
    pem = public_pem(RSA_KEY)
    app = make_core(SUBTEXT_JWT_SECRET="", SUBTEXT_JWT_PUBLIC_KEY=pem)

    assert refused(app, raw(HS256, claims(), key=pem))
    assert refused(app, signed(key=OTHER_RSA_KEY, alg="RS256"))
    assert refused(app, signed(key=RSA_KEY, alg="RS512"))
    assert refused(app, signed(key=RSA_KEY, alg="PS256"))


def jwks(tmp_path: Path, *keys: Json) -> str:
    file = tmp_path / "jwks.json"
    file.write_text(json.dumps({"keys": keys}))
    return str(file)


def as_jwk(key: Any, **members: Any) -> Json:
    kind = jwt.algorithms.RSAAlgorithm if key is not EC_KEY else jwt.algorithms.ECAlgorithm
    return {**json.loads(kind.to_jwk(key.public_key())), **members}


def test_a_key_set_is_read_from_a_file_and_asked_by_kid(make_core: MakeApp, tmp_path: Path) -> None:
    path = jwks(
        tmp_path,
        as_jwk(RSA_KEY, kid="one"),
        as_jwk(EC_KEY, kid="two", use="sig", alg="ES256"),
        as_jwk(OTHER_RSA_KEY, kid="three", use="enc"),
        {"kty": "oct", "k": encoded(JWT_SECRET), "kid": "four"},
    )
    app = make_core(SUBTEXT_JWT_SECRET="", SUBTEXT_JWT_JWKS=path)

    assert not refused(app, signed(key=RSA_KEY, alg="RS256", kid="one"))
    assert not refused(app, signed(key=RSA_KEY, alg="RS256"))
    assert not refused(app, signed(key=EC_KEY, alg="ES256", kid="two"))
    assert refused(app, signed(key=RSA_KEY, alg="RS256", kid="two"))
    assert refused(app, signed(key=RSA_KEY, alg="RS256", kid="none of them"))
    assert refused(app, signed(key=OTHER_RSA_KEY, alg="RS256", kid="three"))
    assert refused(app, signed(kid="four"))


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"keys": 1}', '{"keys": []}', '{"keys": [1]}', '{"keys": [{"kty": "RSA"}]}'],
)
def test_a_key_set_without_a_usable_key_stops_the_start(text: str, tmp_path: Path) -> None:
    file = tmp_path / "jwks.json"
    file.write_text(text)

    with pytest.raises(ConfigurationError, match="SUBTEXT_JWT_JWKS"):
        build_app({}, {"SUBTEXT_JWT_JWKS": str(file)}, discover=False)


def test_a_weak_or_unfit_public_key_stops_the_start() -> None:
    weak = rsa.generate_private_key(65537, 1024)  # noqa: S505 (what is refused)
    for key in (weak, ec.generate_private_key(ec.SECP384R1())):
        with pytest.raises(ConfigurationError, match="SUBTEXT_JWT_PUBLIC_KEY must be"):
            build_app({}, {"SUBTEXT_JWT_PUBLIC_KEY": public_pem(key)}, discover=False)


def test_a_token_can_be_bought_with_a_key(core_app: Flask, make_caller: MakeCaller) -> None:
    caller = make_caller(core_app)
    client = core_app.test_client()

    answer = client.post(
        "/v1/tokens",
        headers=caller.headers,
        json={"session_id": "sess_001", "scope": "stream ingest", "ttl_seconds": 60},
    )

    assert answer.status_code == 201
    assert set(answer.get_json()) == {"token", "token_type", "scope", "expires_at"}
    assert (answer.get_json()["token_type"], answer.get_json()["scope"]) == (
        "Bearer",
        "stream ingest",
    )
    with core_app.app_context():
        identity = authenticate_token(answer.get_json()["token"])
    assert (identity.account_id, identity.session_id) == (caller.account_id, "sess_001")
    lifetime = jwt.decode(answer.get_json()["token"], options={"verify_signature": False})
    assert lifetime["exp"] - lifetime["iat"] == 60


@pytest.mark.parametrize("body", [None, {}, {"session_id": None}])
def test_everything_about_a_token_has_a_default(
    body: Json | None, core_app: Flask, make_caller: MakeCaller
) -> None:
    arguments: Json = {} if body is None else {"json": body}

    answer = core_app.test_client().post(
        "/v1/tokens", headers=make_caller(core_app).headers, **arguments
    )

    assert (answer.status_code, answer.get_json()["scope"]) == (201, "ingest")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"scope": "admin"}, 400),
        ({"scope": ""}, 400),
        ({"scope": "ingest read"}, 400),
        ({"ttl_seconds": 0}, 400),
        ({"ttl_seconds": -1}, 400),
        ({"ttl_seconds": 86_401}, 400),
        ({"ttl_seconds": True}, 422),
        ({"ttl_seconds": "60"}, 422),
        ({"ttl_seconds": 1.5}, 422),
        ({"scope": ["ingest"]}, 422),
        ({"session_id": 1}, 422),
        ({"session_id": ""}, 422),
        ({"session_id": "x" * 257}, 422),
        ({"session_id": "a\x00b"}, 422),
        ([], 422),
        ("text", 422),
    ],
)
def test_a_token_that_cannot_be_had_is_refused(
    body: Any, status: int, core_app: Flask, make_caller: MakeCaller
) -> None:
    answer = core_app.test_client().post(
        "/v1/tokens", headers=make_caller(core_app).headers, json=body
    )

    assert answer.status_code == status
    assert "error" in answer.get_json()
    assert "token" not in answer.get_json()


@pytest.mark.parametrize("number", ["1e400", "NaN", "9" * 30, "9" * 5_000])
def test_a_lifetime_beyond_any_number_is_refused(
    number: str, core_app: Flask, make_caller: MakeCaller
) -> None:
    answer = core_app.test_client().post(
        "/v1/tokens",
        headers=make_caller(core_app).headers,
        data=f'{{"ttl_seconds": {number}}}',
        content_type="application/json",
    )

    assert answer.status_code in {400, 422}


def test_a_key_buys_no_token_for_what_it_may_not_do_itself(
    core_app: Flask, make_caller: MakeCaller
) -> None:
    headers = make_caller(core_app, "mood", "stream").headers
    client = core_app.test_client()

    assert client.post("/v1/tokens", headers=headers, json={}).status_code == 403
    assert client.post("/v1/tokens", headers=headers, json={"scope": "stream"}).status_code == 201


def test_a_token_buys_no_token(core_app: Flask, make_caller: MakeCaller) -> None:
    headers = bearer(core_app, make_caller(core_app).tenant)

    assert core_app.test_client().post("/v1/tokens", headers=headers).status_code == 401


def test_without_a_secret_tokens_cannot_be_bought(
    make_core: MakeApp, make_caller: MakeCaller
) -> None:
    app = make_core(SUBTEXT_JWT_SECRET="")

    answer = app.test_client().post("/v1/tokens", headers=make_caller(app).headers)

    assert answer.status_code == 503
    assert "SUBTEXT_JWT_SECRET is not set" in answer.get_json()["error"]
    with app.app_context(), pytest.raises(Unavailable):
        issue_token("acme")


def test_impossible_tokens_are_not_issued(core_app: Flask) -> None:
    with core_app.app_context():
        with pytest.raises(BadRequest):
            issue_token("acme", ttl_seconds=0)
        with pytest.raises(Invalid):
            issue_token("acme", session_id="a\ud800")
