"""Pages for people: what the stream's messages are, and a demonstration."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from flask import Blueprint, render_template
from markupsafe import Markup, escape

from core import json_response
from plugins.stream.asyncapi import ERRORS, build_document

if TYPE_CHECKING:
    from flask import Response

SECURITY_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self' ws: wss:; "
    "media-src 'self' blob:; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""The pages load nothing from elsewhere (W3C, Content Security Policy Level 3)."""


def build_pages() -> Blueprint:
    """Return the blueprint of the pages."""
    here = Path(__file__).parent
    pages = Blueprint(
        "stream_pages",
        __name__,
        template_folder=str(here / "templates"),
        static_folder=str(here / "static"),
        static_url_path="/demo/stream/static",
    )

    pages.add_app_template_filter(code_spans)

    @pages.after_request
    def secure(response: Response) -> Response:
        response.headers["Content-Security-Policy"] = SECURITY_POLICY
        response.headers["Referrer-Policy"] = "no-referrer"
        return response

    @pages.route("/asyncapi.json")
    def asyncapi() -> Response:
        return json_response(build_document())

    @pages.route("/docs/stream")
    def document() -> str:
        return render_template("stream/messages.html", document=build_document(), errors=ERRORS)

    @pages.route("/demo/stream")
    def demonstration() -> str:
        return render_template("stream/demo.html")

    return pages


def code_spans(text: str) -> Markup:
    """Return a text as HTML, with what stands between backticks as code."""
    # Escaped first: what the pattern adds is all the markup there is.
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))  # noqa: S704
