"""The two handlers to compare with, as a plugin named `baseline`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import peewee
from marshmallow import Schema, ValidationError

from core import (
    TOKEN_SECURITY,
    Blueprint,
    Model,
    caller,
    check_session_binding,
    hookimpl,
    json_response,
    request_json,
    require,
    touch_session,
    transaction,
)

if TYPE_CHECKING:
    from flask import Response


class BaselineEvent(Model):
    """An event as the straightforward handler stores it."""

    session_key = peewee.BigIntegerField()
    occurred_at = peewee.BigIntegerField()
    kind = peewee.TextField()
    payload = peewee.TextField()

    class Meta:
        """Name the table; one index, by session and time."""

        table_name = "baseline_event"
        indexes = ((("session_key", "occurred_at"), False),)


def build_blueprint(item: Schema) -> Blueprint:
    """Return the routes; `item` is the schema of one event, the same that the ingestion API has."""
    routes = Blueprint("baseline", __name__, url_prefix="/v1/baseline", security=TOKEN_SECURITY)
    routes.before_request(require("ingest", credentials=("token",)))

    @routes.route("/parse", methods=["POST"])
    def parse() -> Response:
        """Read the body and nothing else."""
        body: dict[str, Any] = request_json()
        check_session_binding(body["sessionId"])
        return json_response({"accepted": len(body["batch"]), "rejections": []})

    @routes.route("/naive", methods=["POST"])
    def store() -> Response:
        """Check every item with marshmallow and insert all that hold in one statement."""
        body: dict[str, Any] = request_json()
        check_session_binding(body["sessionId"])
        loaded: list[tuple[dict[str, Any], dict[str, Any]]] = []
        rejections = []
        for index, event in enumerate(body["batch"]):
            try:
                loaded.append((event, item.load(event)))
            except ValidationError as error:
                rejections.append({"index": index, "reason": str(error.messages)})
        with transaction():
            session = touch_session(caller().account_id, body["sessionId"])
            BaselineEvent.insert_many(
                [
                    {
                        "session_key": session.key,
                        "occurred_at": fields["timestamp"],
                        "kind": fields["eventType"],
                        "payload": orjson.dumps(event).decode(),
                    }
                    for event, fields in loaded
                ]
            ).execute()
        return json_response({"accepted": len(loaded), "rejections": rejections})

    return routes


@hookimpl
def register_models() -> list[type[Model]]:
    """Return the table of the straightforward handler."""
    return [BaselineEvent]


@hookimpl
def register_migrations() -> Path:
    """Return where its migration is."""
    return Path(__file__).parent / "migrations"


@hookimpl
def register_blueprints() -> list[Blueprint]:
    """Return the two routes."""
    # Here, because the ingestion plugin's schema is what makes the comparison fair, not a part of this one.
    from plugins.ingestion.schemas import Event

    return [build_blueprint(Event())]
