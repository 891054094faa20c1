"""What one answer gives leads on as the OpenAPI document says: chains of calls along its links.

schemathesis starts where something is stored, follows links with what the answers hold, now and then with something
else, and compares every answer with the document. Here the run is short; the long one is served by gunicorn, on both
databases:

    WORKFLOW_EXAMPLES=300 pytest -m soak tests/openapi/test_workflows.py
"""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings

from core import accounts
from core.testing import BOTH, bearer, load_factory
from tests.openapi.test_fuzz import CHECKS, ITEM_BY_ITEM
from tests.resilience.installation import Installation

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from flask import Flask

    from core.testing import MakeApp, MakeCaller

    Headers = Callable[[str], dict[str, str]]

EXAMPLES = int(os.environ.get("WORKFLOW_EXAMPLES", "300"))
#: Chains of the short run, and calls in a chain.
SHORT = 10
STEPS = 6
#: What the id of a session is called in bodies.
SESSIONS = ("session_id", "sessionId")


def begin(definition: dict[str, Any], made: dict[str, Any]) -> dict[str, Any]:
    """Return the body that the document shows, for the session of the one that was made: a chain has to start well."""
    shown = definition["requestBody"]["content"].get("application/json", {}).get("example", {})
    return {**made, **shown, **{name: made[name] for name in SESSIONS if name in made}}


def follow(document: Any, make_headers: Callable[[], Headers], chains: int) -> Counter[str]:
    """Go along so many chains of links and return how often which operation answered 200 to a link.

    Each chain is of an account of its own: the same calls have to find the same when they are made again.
    """
    led: Counter[str] = Counter()
    machine: Any = document.as_state_machine()

    class Workflow(machine):
        def setup(self) -> None:
            self.headers = make_headers()

        def get_call_kwargs(self, case: Any) -> dict[str, Any]:
            return {"headers": self.headers(case.operation.path)}

        def step(self, input: Any) -> Any:  # noqa: A002 (schemathesis' signature)
            case, definition = input.case, input.case.operation.definition.raw
            if input.transition is None and isinstance(case.body, dict):
                case.body = begin(definition, case.body)
            output = super().step(input)
            if (
                input.transition is not None
                and input.is_applied
                and output.response.status_code == 200
            ):
                led[definition["operationId"]] += 1
            return output

        def validate_response(self, response: Any, case: Any, **_: Any) -> None:
            case.validate_response(response, checks=CHECKS)

    Workflow.run(
        settings=settings(
            max_examples=chains,
            stateful_step_count=STEPS,
            phases=[Phase.generate],
            derandomize=True,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        )
    )
    return led


def newcomer(app: Flask, make_caller: MakeCaller) -> Headers:
    """Return the headers, by the address, of an account that nothing is known of."""
    caller = make_caller(app, *accounts.SCOPES, plan="pro")
    token = bearer(app, caller.tenant)
    return lambda path: token if path.startswith(ITEM_BY_ITEM) else caller.headers


def test_links_lead_where_the_document_says(make_app: MakeApp, make_caller: MakeCaller) -> None:
    app = make_app()
    document = schemathesis.openapi.from_wsgi("/openapi.json", app)
    assert follow(document, lambda: newcomer(app, make_caller), SHORT)


@pytest.mark.soak
@pytest.mark.parametrize("storage", BOTH)
def test_links_lead_where_the_document_says_on_a_real_server(
    tmp_path: Path, make_caller: MakeCaller, storage: str
) -> None:
    with Installation(tmp_path, storage=storage) as house:
        names = ("DATABASE_URL", "SUBTEXT_DATA", "SUBTEXT_JWT_SECRET")
        app = load_factory()(**{name: house.environment[name] for name in names}, REDIS_URL="")
        house.down("worker")  # the fuzzer takes it ill when answers change by themselves
        document = schemathesis.openapi.from_url(f"{house.url}/openapi.json")
        led = follow(document, lambda: newcomer(app, make_caller), EXAMPLES)
        missing = {"get_timeline", "mood_post_events", "mood_delete_session"} - led.keys()
        assert not missing, led
        assert "Traceback" not in house.log("web")
