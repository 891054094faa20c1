"""The OpenAPI document of all plugins, and the page to read it."""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from typing import TYPE_CHECKING, Any

import flask_smorest
from apispec.ext.marshmallow import MarshmallowPlugin, resolver
from apispec.ext.marshmallow.common import resolve_schema_cls
from flask_swagger_ui import get_swaggerui_blueprint

from core.answers import MAX_KEY_LENGTH
from core.links import SessionLinks
from core.runtime import VERSION
from core.sessions import MAX_SESSION_ID_LENGTH

if TYPE_CHECKING:
    from flask import Flask, Response

#: Security schemes by the names that blueprints use.
SECURITY_SCHEMES: dict[str, dict[str, str]] = {
    "ApiKey": {
        "type": "apiKey",
        "in": "header",
        "name": "X-Api-Key",
        "description": "An API key, `sm_` and 48 hex digits.",
    },
    "BearerKey": {
        "type": "http",
        "scheme": "bearer",
        "description": "The same API key as `Authorization: Bearer`.",
    },
    "Token": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "A token from `POST /v1/tokens` or from the operator's own sign-in.",
    },
    "MetricsToken": {
        "type": "http",
        "scheme": "bearer",
        "description": "The operator's `SUBTEXT_METRICS_TOKEN`, where it is set.",
    },
}
#: What routes ask for that take an API key in either form.
KEY_SECURITY: list[dict[str, list[str]]] = [{"ApiKey": []}, {"BearerKey": []}]
TOKEN_SECURITY: list[dict[str, list[str]]] = [{"Token": []}]
#: What routes ask for that let requests without a credential in where a setting says so.
OPTIONAL_KEY_SECURITY: list[dict[str, list[str]]] = [*KEY_SECURITY, {}]
#: Parameters that several APIs have: for `Blueprint.route(parameters=…)` and `Blueprint.doc(parameters=…)`.
SESSION_PARAMETER: dict[str, Any] = {
    "in": "path",
    "name": "session_id",
    "schema": {"type": "string", "minLength": 1, "maxLength": MAX_SESSION_ID_LENGTH},
    "description": "The client's own id of the session, percent-encoded.",
}
IDEMPOTENCY_PARAMETER: dict[str, Any] = {
    "in": "header",
    "name": "Idempotency-Key",
    "required": False,
    "schema": {
        "type": "string",
        "minLength": 1,
        "maxLength": MAX_KEY_LENGTH,
        "pattern": "^[ -~]+$",
    },
    "description": "The same key and body within 24 hours get the first answer again.",
}

DOCS_PATH = "/docs"
DOCUMENT_PATH = "/openapi.json"
#: The page loads nothing from elsewhere (W3C, Content Security Policy Level 3); Swagger UI sets styles inline.
SECURITY_POLICY = (
    "default-src 'none'; script-src {scripts}; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class Api(flask_smorest.Api):
    """Collect the routes of all blueprints in one document; errors are the web edge's."""

    DEFAULT_ERROR_RESPONSE_NAME = None

    def _register_error_handlers(self) -> None:
        """Leave errors to `core.web`."""

    def _register_responses(self) -> None:
        """Leave out smorest's error answers: each blueprint documents its own."""


def name_schema(schema: Any) -> str:
    """Return a schema's name in the document: its plugin's and its own, so two plugins may have an `Event` each."""
    package, *modules = resolve_schema_cls(schema).__module__.split(".")
    owner = modules[0] if package == "plugins" else package.removeprefix("subtext_plugin_")
    prefix = "" if owner == "core" else owner.title().replace("_", "")
    name: str = resolver(schema)
    return name if name.startswith(prefix) else f"{prefix}{name}"


def install(app: Flask) -> Api:
    """Serve `/openapi.json` and the page at `/docs`, with its files from this server."""
    app.config.update(
        API_TITLE="Subtext",
        API_VERSION=VERSION,
        OPENAPI_VERSION="3.1.0",
        OPENAPI_URL_PREFIX="/",
        OPENAPI_JSON_PATH=DOCUMENT_PATH.lstrip("/"),
        API_SPEC_OPTIONS={
            "info": {
                "description": "Reads what users do not say: moods from what they do, how they look and how they"
                " sound.",
                "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            }
        },
    )
    names = MarshmallowPlugin(schema_name_resolver=name_schema)
    api = Api(app, spec_kwargs={"marshmallow_plugin": names, "extra_plugins": [SessionLinks()]})
    for name, scheme in SECURITY_SCHEMES.items():
        api.spec.components.security_scheme(name, scheme)
    options: dict[str, Any] = {
        "app_name": "Subtext",
        "deepLinking": True,
        # Without this the page asks a public validator about the document.
        "validatorUrl": None,
    }
    pages = get_swaggerui_blueprint(
        DOCS_PATH, DOCUMENT_PATH, config=options, blueprint_name="core_docs"
    )
    pages.after_request(_secure)
    app.register_blueprint(pages)
    return api


def _secure(response: Response) -> Response:
    """Have the page run its own scripts alone, the one inside it too, and nobody frame it."""
    inside: list[str] = []
    if response.mimetype == "text/html" and not response.direct_passthrough:
        inside = re.findall(r"<script>(.*?)</script>", response.get_data(as_text=True), re.DOTALL)
    digests = [b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in inside]
    scripts = " ".join(["'self'", *(f"'sha256-{digest}'" for digest in digests)])
    response.headers["Content-Security-Policy"] = SECURITY_POLICY.format(scripts=scripts)
    response.headers["Referrer-Policy"] = "no-referrer"
    return response
