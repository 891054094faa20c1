"""What a search team asks: metrics, judgments and exports."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from core import (
    OPTIONAL_KEY_SECURITY,
    Blueprint,
    NotFound,
    caller,
    json_response,
    require,
)
from plugins.clickstream.analytics import Selection, exporters, measure
from plugins.clickstream.documentation import common_problems
from plugins.clickstream.examples import EXPORTS, METRICS
from plugins.clickstream.problems import render
from plugins.clickstream.schemas import (
    DetailSchema,
    ExportersSchema,
    ExportQuerySchema,
    MetricsQuerySchema,
    MetricsSchema,
)
from plugins.clickstream.streams import stream

if TYPE_CHECKING:
    from flask import Response


EXPORT_TYPES = ("application/x-ndjson", "application/json", "text/plain")
"""Media types of the built-in exports; `GET /exports` names each one's."""

EXPORT_PARAMETER = {
    "in": "path",
    "name": "name",
    "description": "One of the names that `GET /v1/search/exports` lists.",
}


def build_search_blueprint(name: str, prefix: str) -> Blueprint:
    """Build the routes of metrics and exports."""
    routes = Blueprint(
        name,
        __name__,
        url_prefix=prefix,
        description="How well the search works, and exports for search tools.",
        render_error=render,
        error_schema=DetailSchema,
        security=OPTIONAL_KEY_SECURITY,
    )
    routes.before_request(require("clickstream", anonymous_setting="SUBTEXT_CLICKSTREAM_ANONYMOUS"))

    @routes.route("/metrics", methods=["GET"])
    @routes.arguments(MetricsQuerySchema, location="query")
    @routes.response(200, MetricsSchema, example=METRICS)
    @common_problems(routes)
    def get_metrics(arguments: dict[str, Any]) -> Response:
        """Return search metrics, each with the number of eligible searches and a 95 % interval."""
        k = arguments.pop("k")
        return json_response(measure(Selection(caller().account_id, **arguments), k))

    @routes.route("/judgments", methods=["GET"])
    @routes.arguments(ExportQuerySchema, location="query")
    @routes.response(200, description="One judgment a line.", content_type="application/x-ndjson")
    @common_problems(routes)
    def get_judgments(arguments: dict[str, Any]) -> Response:
        """Stream click judgments (COEC) with the counts behind them; the export `judgments`."""
        return _stream("judgments", Selection(caller().account_id, **arguments))

    @routes.route("/exports", methods=["GET"])
    @routes.response(200, ExportersSchema, example=EXPORTS)
    @routes.link(200, f"{name}_get_export", name="$response.body#/exports/0/name")
    @common_problems(routes)
    def list_exports() -> Response:
        """List the exports, those of other plugins included."""
        known = [
            {"name": e.name, "description": e.description, "media_type": e.media_type}
            for e in exporters().values()
        ]
        return json_response({"exports": known})

    @routes.route("/exports/<name>", methods=["GET"], parameters=[EXPORT_PARAMETER])
    @routes.arguments(ExportQuerySchema, location="query")
    @routes.response(200, description="The export.", content_type="application/x-ndjson")
    @routes.doc(responses={200: {"content": {kind: {} for kind in EXPORT_TYPES}}})
    @routes.problem(404, example={"detail": "There is no export csv"})
    @common_problems(routes)
    def get_export(arguments: dict[str, Any], name: str) -> Response:
        """Stream an export of the account's searches, irrelevant ones left out."""
        return _stream(name, Selection(caller().account_id, **arguments))

    return routes


def _stream(name: str, selection: Selection) -> Response:
    exporter = exporters().get(name)
    if exporter is None:
        raise NotFound(f"There is no export {name}")
    name = f"{exporter.name}{exporter.suffix}"
    return stream(
        exporter.write(selection),
        exporter.media_type,
        {"Content-Disposition": f'attachment; filename="{name}"'},
    )
