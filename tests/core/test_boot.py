from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from core.testing import BOTH

if TYPE_CHECKING:
    from core.testing import MakeApp

ALL = ("ingestion", "clickstream", "mood", "stream")


@pytest.mark.parametrize("storage", BOTH, indirect=True)
def test_the_core_boots_without_any_plugin(make_app: MakeApp) -> None:
    client = make_app(SUBTEXT_PLUGINS_DISABLED=ALL).test_client()

    assert client.get("/livez").json == {"status": "ok", "version": "1.0.0"}
    assert client.get("/health").json == {"status": "degraded", "version": "1.0.0"}
    assert client.get("/readyz").status_code == 200
    assert client.get("/openapi.json").get_json()["openapi"].startswith("3.1")
    assert b"subtext_requests_total" in client.get("/metrics").data
    assert client.get("/docs/").status_code == 200
