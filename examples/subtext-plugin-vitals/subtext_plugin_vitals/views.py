"""The routes: reports come in from browsers, the summary goes out to whoever watches the site."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from core import (
    KEY_SECURITY,
    TOKEN_SECURITY,
    Blueprint,
    Outcome,
    caller,
    check_session_binding,
    demand,
    idempotency_key,
    once,
    raw_json_response,
    request_body,
    require,
)
from subtext_plugin_vitals import services
from subtext_plugin_vitals.schemas import PagesQuerySchema, PagesSchema, ReportSchema, StoredSchema

if TYPE_CHECKING:
    from flask import Response

REPORT_EXAMPLE = {
    "session_id": "sess_001",
    "page": "/checkout",
    "metrics": [{"id": "v5-1763756400000-1", "name": "LCP", "value": 6200.5}],
}
PAGES_EXAMPLE = {
    "pages": [
        {
            "page": "/checkout",
            "metric": "LCP",
            "p75": 6200.5,
            "unit": "ms",
            "rating": "poor",
            "views": 1,
        }
    ]
}


def build_blueprint() -> Blueprint:
    """Return the plugin's routes, made anew for each app."""
    routes = Blueprint(
        "vitals", __name__, url_prefix="/v1/vitals", security=[*KEY_SECURITY, *TOKEN_SECURITY]
    )
    routes.before_request(require(None, credentials=("key", "token")))

    @routes.route("", methods=["POST"])
    @routes.arguments(ReportSchema, example=REPORT_EXAMPLE)
    @routes.response(202, StoredSchema, example={"stored": 1})
    @routes.problem(401, "No key or token, or one that does not hold.")
    @routes.problem(403, "It lacks the scope `ingest` or is bound to another session.")
    @routes.problem(410, "The session was erased.")
    @routes.problem(422, "The report is not valid; `errors` says where.")
    def store_report(report: dict[str, Any]) -> Response:
        """Take what a page view measured so far."""
        demand("ingest")
        check_session_binding(report["session_id"])
        account_id = caller().account_id

        def act() -> Outcome:
            session, stored = services.store_report(account_id, **report)
            return Outcome(202, orjson.dumps({"stored": stored}), session.key)

        outcome = once(account_id, "vitals.report", idempotency_key(), request_body(), act)
        return raw_json_response(outcome.body, outcome.status)

    @routes.route("/pages")
    @routes.arguments(PagesQuerySchema, location="query")
    @routes.response(200, PagesSchema, example=PAGES_EXAMPLE)
    @routes.problem(401, "No key or token, or one that does not hold.")
    @routes.problem(403, "It lacks the scope `read`.")
    @routes.problem(422, "`days` is not usable.")
    def list_pages(query: dict[str, int]) -> dict[str, Any]:
        """Return the pages of the last days at the 75th percentile, worst first."""
        demand("read")
        return {"pages": services.summarise_pages(caller().account_id, query["days"])}

    return routes
