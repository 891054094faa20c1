"""The web edge of an app: errors, request ids, limits, CORS, access logs.

Errors are mapped here and nowhere else: whatever a view raises becomes an AppError, and the blueprint that was
called says how that looks on its wire.
"""

from __future__ import annotations

import logging
import re
import secrets
import time
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

import orjson
from flask import Flask, Response, current_app, g, redirect, request
from flask_cors import CORS
from werkzeug.exceptions import HTTPException, MethodNotAllowed, RequestEntityTooLarge
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.routing import PathConverter, RequestRedirect

from core import errors
from core.blueprints import Blueprint, ErrorRenderer, end_turn, render_plain_error
from core.database import is_unavailable, release_connection
from core.limits import MARK, counted_address
from core.responses import OrjsonProvider, json_response
from core.runtime import Runtime, current

if TYPE_CHECKING:
    from collections.abc import Iterable

    from werkzeug.wrappers import Response as ResponseValue

logger = logging.getLogger("subtext.request")

#: What a caller may send as X-Request-Id; anything else is replaced.
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
#: A scheme, a host, perhaps a port (RFC 6454, section 6.2).
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?")
#: Methods that metrics tell apart; a client may send any word as one.
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
#: Response headers that a browser's script may read.
EXPOSED_HEADERS = (
    "X-Request-Id",
    "X-Correlation-ID",
    "Retry-After",
    "RateLimit-Limit",
    "RateLimit-Remaining",
    "RateLimit-Reset",
)
#: Request headers that a browser's script may send.
ALLOWED_HEADERS = (
    "Authorization",
    "Content-Type",
    "Content-Encoding",
    "Idempotency-Key",
    "X-Api-Key",
    "X-Request-Id",
)
#: Seconds that a request may have waited for a thread, as gunicorn.conf.py says in `subtext.waited` of its environment.
#: Who waited longer is told to come back: more is coming than can be answered, and clients do not wait for ever.
LONGEST_WAIT_SECONDS = 2.0
#: The blueprint that is answered however long it waited: being busy is not being ill.
_ALWAYS_ANSWERED = "core_operations"
#: What is remembered of one request.
_PER_REQUEST = ("identity", "allowance", "body")
#: Seconds for which a browser may remember a preflight answer.
PREFLIGHT_SECONDS = 600


class AnyPath(PathConverter):
    """Match any text in a path, line breaks and a slash in front too.

    Whatever id a session was given in a body, it is found, and erased, by its address.
    """

    regex = "(?s:.+?)"
    part_isolating = False  # it may span slashes, which werkzeug cannot see in the pattern


def install(app: Flask, runtime: Runtime) -> None:
    """Put the web edge around an app."""
    app.json = OrjsonProvider(app)
    # A session id may hold two slashes in a row, and begin with one.
    app.url_map.merge_slashes = False
    app.url_map.converters["path"] = AnyPath
    if runtime.settings["SUBTEXT_PROXIES"]:
        count = runtime.settings["SUBTEXT_PROXIES"]
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=count, x_proto=count, x_host=count)  # type: ignore[method-assign]
    if origins := _origins(runtime.settings["SUBTEXT_CORS_ORIGINS"]):
        CORS(
            app,
            # flask-cors takes the brackets of an IPv6 address for a pattern, too.
            origins=[re.compile(rf"{re.escape(o)}\Z") if "[" in o else o for o in origins],
            allow_headers=list(ALLOWED_HEADERS),
            expose_headers=list(EXPOSED_HEADERS),
            max_age=PREFLIGHT_SECONDS,
            send_wildcard=True,
            # Who names no origin is no browser across origins; a star is sent always, so that caches may keep it.
            always_send="*" in origins,
        )
    app.before_request(_begin)
    app.before_request(_turn_away_late)
    app.after_request(_finish)
    app.teardown_request(lambda _error: end_turn())
    app.teardown_appcontext(lambda _error: release_connection())
    app.register_error_handler(Exception, _answer_error)


def _origins(given: Iterable[str]) -> list[str]:
    # flask-cors takes an origin with a star in it for a pattern, and `https://*.example.com` lets others in.
    origins = list(given)
    for origin in origins:
        if origin != "*" and _ORIGIN.fullmatch(origin) is None:
            raise errors.ConfigurationError(
                f"SUBTEXT_CORS_ORIGINS: {origin} is neither * nor an origin such as https://app.example.com"
            )
    return origins


def request_id() -> str:
    """Return the id of the current request, which is on its answer and in its log lines."""
    value: str = g.request_id
    return value


def _begin() -> ResponseValue | None:
    for name in _PER_REQUEST:  # an app context may outlive a request: a command's, a test's
        g.pop(name, None)
    g.started = time.perf_counter()
    offered = request.headers.get("X-Request-Id", "")
    g.request_id = offered if _REQUEST_ID.fullmatch(offered) else f"req_{secrets.token_hex(8)}"
    view = _view()
    if (limit := getattr(view, MARK, None)) is not None and request.method != "OPTIONS":
        g.allowance = current().limits.hit(
            limit, "view", request.endpoint or "", counted_address(request.remote_addr)
        )
    if isinstance(request.routing_exception, RequestRedirect):
        # Relative, and with one slash in front: neither the Host header nor the path leads to another server.
        target = urlsplit(request.routing_exception.new_url)
        path = "/" + target.path.lstrip("/")
        return redirect(urlunsplit(("", "", path, target.query, "")), HTTPStatus.PERMANENT_REDIRECT)
    return None


def _turn_away_late() -> None:
    waited = request.environ.get("subtext.waited", 0.0)
    if waited > LONGEST_WAIT_SECONDS and request.blueprint != _ALWAYS_ANSWERED:
        raise errors.Unavailable("The server is busy, try again")


def _view() -> Any:
    return current_app.view_functions.get(request.endpoint or "")


def _finish(response: Response) -> Response:
    response.headers["X-Request-Id"] = g.request_id
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    if "identity" in g:
        # Shared caches spare what `Authorization` asked for (RFC 9111, 3.5), and know nothing of X-Api-Key.
        response.headers.setdefault("Cache-Control", "no-store")
    if (allowance := g.get("allowance")) is not None:
        for name, value in allowance.headers().items():
            response.headers.setdefault(name, value)
    seconds = time.perf_counter() - g.started
    # The rule, not the path: a path holds session ids.
    route = request.url_rule.rule if request.url_rule is not None else "unknown"
    metrics = current().metrics
    method = request.method if request.method in _METHODS else "other"
    metrics.requests.labels(method, route, response.status_code).inc()
    metrics.seconds.labels(route).observe(seconds)
    if logger.isEnabledFor(logging.INFO):
        identity = g.get("identity")
        logger.info(
            "answered",
            extra={
                "request_id": g.request_id,
                "method": method,
                "route": route,
                "status": response.status_code,
                "milliseconds": round(seconds * 1000, 2),
                "account": identity.account_id if identity is not None else None,
            },
        )
    return response


def _answer_error(error: Exception) -> Any:
    known = _as_app_error(error)
    if known.status >= 500 and not isinstance(known, errors.Unavailable):  # noqa: PLR2004 (HTTP's own line)
        logger.error("a request failed", exc_info=error, extra={"request_id": g.request_id})
    body = _renderer()(known)
    if isinstance(body, Response):
        return body
    return json_response(_encodable(body), known.status, known.headers)


def _as_app_error(error: Exception) -> errors.AppError:
    if isinstance(error, errors.AppError):
        return error
    if isinstance(error, RequestEntityTooLarge):
        return errors.PayloadTooLarge()
    if isinstance(error, MethodNotAllowed):
        allowed = ", ".join(sorted(error.valid_methods or ()))
        return errors.MethodNotAllowed(headers={"Allow": allowed})
    if isinstance(error, HTTPException):
        return _BY_STATUS.get(error.code or 500, errors.BadRequest)(error.description)
    if is_unavailable(error):
        logger.warning(
            "the database is away: %s", type(error).__name__, extra={"request_id": g.request_id}
        )
        return errors.Unavailable()
    return errors.AppError()


_BY_STATUS: dict[int, type[errors.AppError]] = {
    401: errors.Unauthorized,
    403: errors.Forbidden,
    404: errors.NotFound,
    413: errors.PayloadTooLarge,
    415: errors.UnsupportedMediaType,
    429: errors.RateLimited,
    500: errors.AppError,
    503: errors.Unavailable,
}


def _renderer() -> ErrorRenderer:
    name = request.blueprint
    if name is None and isinstance(request.routing_exception, MethodNotAllowed):
        # The address belongs to somebody, only the method is wrong: answer in that API's shape.
        adapter = current_app.create_url_adapter(request)
        methods = request.routing_exception.valid_methods or ()
        if adapter is not None and methods:
            endpoint, _ = adapter.match(method=next(iter(methods)))
            name = endpoint.rpartition(".")[0]
    blueprint = current_app.blueprints.get(name) if name else None
    if blueprint is None:
        blueprint = _by_prefix(current_app.blueprints.values())
    return blueprint.render_error if isinstance(blueprint, Blueprint) else render_plain_error


def _by_prefix(blueprints: Any) -> Any:
    """Return the blueprint whose prefix the path is below, for an address that does not exist."""
    prefixed = [
        b for b in blueprints if b.url_prefix and request.path.startswith(f"{b.url_prefix}/")
    ]
    return max(prefixed, key=lambda b: len(b.url_prefix), default=None)


def _encodable(body: Any) -> Any:
    """Return the body as JSON can hold it: what a client sent may come back in an error, and be no valid text."""
    try:
        orjson.dumps(body)
    except (TypeError, ValueError):
        return orjson.loads(orjson.dumps(_plain(body), option=orjson.OPT_NON_STR_KEYS))
    return body


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    return value if isinstance(value, bool | int | float | None) else str(value)
