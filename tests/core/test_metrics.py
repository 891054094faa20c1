from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from core import touch_session, transaction

if TYPE_CHECKING:
    from flask import Flask

    from core.testing import MakeApp, MakeCaller


def families(app: Flask) -> dict[str, Any]:
    text = app.test_client().get("/metrics").text
    return {family.name: family for family in text_string_to_metric_families(text)}


def test_requests_are_counted_by_method_route_and_status(core_app: Flask) -> None:
    client = core_app.test_client()
    client.get("/livez")
    client.get("/livez")
    client.get("/v1/sessions/some-session/timeline")
    client.get("/some/unknown/address")

    counted = {
        (sample.labels["method"], sample.labels["route"], sample.labels["status"]): sample.value
        for sample in families(core_app)["subtext_requests"].samples
        if sample.name.endswith("_total")
    }
    assert counted[("GET", "/livez", "200")] == 2
    assert counted[("GET", "/v1/sessions/<path:session_id>/timeline", "401")] == 1
    assert counted[("GET", "unknown", "404")] == 1


def test_nothing_that_a_client_sent_becomes_a_label(
    core_app: Flask, make_caller: MakeCaller
) -> None:
    someone = make_caller(core_app)
    with core_app.app_context(), transaction():
        touch_session(someone.account_id, "canary-session")
    client = core_app.test_client()
    headers = {**someone.headers, "User-Agent": "canary-agent", "X-Request-Id": "canary-request"}
    client.get("/v1/sessions/canary-session/timeline?q=canary-query", headers=headers)
    client.get("/canary-path", headers={"Origin": "https://canary-origin.example"})
    client.open("/livez", method="CANARY")
    for number in range(20):
        client.open("/livez", method=f"CANARY{number}")

    text = client.get("/metrics").text

    assert "canary" not in text.lower()
    assert someone.key not in text
    assert someone.tenant not in text
    assert 'method="other"' in text


def test_the_outbox_and_the_time_to_answer_are_measured(core_app: Flask) -> None:
    core_app.test_client().get("/livez")

    found = families(core_app)

    assert found["subtext_outbox_length"].samples[0].value == 0
    assert found["subtext_request_seconds"].type == "histogram"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"Authorization": "Bearer wrong"}, 401),
        ({"Authorization": "Bearer ünicode"}, 401),
        ({"Authorization": "Basic secret-of-metrics"}, 401),
        ({"Authorization": "Bearer secret-of-metrics"}, 200),
    ],
)
def test_metrics_are_for_who_knows_the_token(
    headers: dict[str, str], status: int, make_core: MakeApp
) -> None:
    client = make_core(SUBTEXT_METRICS_TOKEN="secret-of-metrics").test_client()

    answer = client.get("/metrics", headers=headers)

    assert answer.status_code == status
    assert "secret-of-metrics" not in answer.text
