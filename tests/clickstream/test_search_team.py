"""Metrics and exports over HTTP and on the command line."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from core import ConfigurationError, hookimpl
from core.testing import BOTH
from plugins.clickstream.payload_filters import fields_of
from tests.clickstream.conftest import Site
from tests.clickstream.ubi_log import generate

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from flask import Flask

    from core.testing import Caller, MakeCaller
    from plugins.clickstream.searches import Search

EXPORTS = (
    "ubi-queries",
    "ubi-events",
    "ubi-bulk",
    "judgments",
    "workbench",
    "letor",
    "fine-tuning",
)


def metrics(site: Site, **query: Any) -> Any:
    response = site.get("/v1/search/metrics", **query)
    assert response.status_code == 200, response.text
    return response.json


def export(site: Site, name: str, **query: Any) -> str:
    response = site.get(f"/v1/search/exports/{name}", **query)
    assert response.status_code == 200, response.text
    assert f'filename="{name}.' in response.headers["Content-Disposition"]
    return response.text


@pytest.mark.parametrize("storage", BOTH, indirect=True)
def test_metrics_of_three_searches(site: Site) -> None:
    site.search("s1", "abc")
    site.click("s1", "c", "b")
    site.search("s2", "abc")
    site.search("s3", "")
    report = metrics(site, k=2)
    assert (report["k"], report["searches"]) == (2, 3)
    assert report["ctr_at_k"]["value"] == 0.5
    assert report["ctr_at_k"]["n"] == 2
    assert report["ctr_at_k"]["interval"] == pytest.approx([0.0945, 0.9055], abs=1e-4)
    assert report["mean_first_click_rank"] == {"value": 3.0, "n": 1, "interval": None}
    assert report["mrr"]["value"] == 0.25
    assert report["zero_result_rate"]["value"] == pytest.approx(1 / 3)
    assert report["abandonment_rate"]["value"] == 0.5
    assert metrics(site, k=1)["ctr_at_k"]["value"] == 0


def test_metrics_of_nothing_are_null(site: Site) -> None:
    report = metrics(site)
    assert report["mrr"] == {"value": None, "n": 0, "interval": None}
    assert report["k"] == 10


def test_metrics_choose_by_time_query_user_and_filter(site: Site) -> None:
    site.search("s1", created_at=1700000000, user_id="u", payload_filter={"task": "x"})
    site.search("s2", created_at=1700000100, search_query="lamp")
    site.search(
        "s3",
        created_at=1700000200000,
        payload_filter={"query": {"bool": {"must": [{"term": {"field": "colour", "value": 1}}]}}},
    )
    assert metrics(site, **{"from": "1700000100"})["searches"] == 2
    assert metrics(site, **{"from": 1700000000000, "to": 1700000100000})["searches"] == 1
    assert metrics(site, to="2023-11-14T22:16:40Z")["searches"] == 2
    assert metrics(site, query="lamp")["searches"] == 1
    assert metrics(site, query="nul\x00")["searches"] == 0
    assert metrics(site, user_id="u")["searches"] == 1
    assert metrics(site, filter_field="colour")["searches"] == 1
    assert metrics(site, filter_field="task")["searches"] == 1


@pytest.mark.parametrize("query", [{"k": 0}, {"k": "x"}, {"k": 1001}, {"from": "then"}, {"to": ""}])
def test_bad_questions_are_refused(site: Site, query: dict[str, Any]) -> None:
    response = site.get("/v1/search/metrics", **query)
    assert response.status_code == 422
    assert response.json["detail"][0]["loc"] == ["query", next(iter(query))]  # type: ignore[index]


@pytest.mark.parametrize("storage", BOTH, indirect=True)
def test_irrelevant_sessions_are_in_no_metric_and_no_export(site: Site) -> None:
    site.search("s1", "ab")
    site.click("s1", "a")
    empty = {name: export(site, name, to="2000-01-01") for name in EXPORTS}
    assert all(export(site, name) != empty[name] for name in EXPORTS)
    site.post("/session/irrelevant", {"session_id": "s1"})
    assert metrics(site)["searches"] == 0
    assert {name: export(site, name) for name in EXPORTS} == empty


@pytest.mark.parametrize("storage", BOTH, indirect=True)
def test_exports_read_on_past_a_page(site: Site) -> None:
    for number in range(203):
        site.search(f"s{number}", "a", created_at=1700000000 + number // 7)
    lines = export(site, "ubi-queries").splitlines()
    assert {json.loads(line)["query_id"] for line in lines} == {f"s{n}" for n in range(203)}
    assert len(lines) == 203


def test_the_judgments_have_the_counts_behind_them(site: Site) -> None:
    site.search("s1", "ab")
    site.click("s1", "b")
    lines = site.get("/v1/search/judgments").text.splitlines()
    assert [json.loads(line) for line in lines] == [
        {
            "query": "boots",
            "object_id": "b",
            "clicks": 1,
            "impressions": 1,
            "expected_clicks": 1.0,
            "rating": 1.0,
        },
        {
            "query": "boots",
            "object_id": "a",
            "clicks": 0,
            "impressions": 1,
            "expected_clicks": 0.0,
            "rating": None,
        },
    ]


def test_exports_are_listed_and_an_unknown_one_is_a_404(site: Site) -> None:
    listed = site.get("/v1/search/exports").json["exports"]  # type: ignore[index]
    assert tuple(one["name"] for one in listed) == EXPORTS
    response = site.get("/v1/search/exports/csv")
    assert (response.status_code, response.json) == (404, {"detail": "There is no export csv"})


def test_nobody_exports_the_searches_of_another_account(
    app: Flask, site: Site, make_caller: MakeCaller
) -> None:
    site.search()
    stranger = Site(site.client, make_caller(app).headers)
    assert metrics(stranger)["searches"] == 0
    assert export(stranger, "ubi-queries") == ""


class CountExporter:
    """An exporter of another plugin."""

    name = "count"
    description = "How many searches there are."
    media_type = "text/plain"
    suffix = ".txt"

    def write(self, searches: Iterable[Search]) -> Iterator[bytes]:
        yield b"%d\n" % sum(1 for _ in searches)


class CountPlugin:
    @hookimpl
    def register_exporters(self) -> list[CountExporter]:
        return [CountExporter()]


def add_plugin(app: Flask, name: str) -> None:
    plugins = app.extensions["subtext"].plugins
    plugins.manager.register(CountPlugin(), name)
    plugins.names.append(name)


def test_a_plugin_adds_an_export(app: Flask, site: Site) -> None:
    add_plugin(app, "counting")
    site.search("s1")
    site.search("s2")
    assert export(site, "count") == "2\n"


def test_two_exports_of_one_name_stop_the_start(app: Flask) -> None:
    from plugins.clickstream.plugin import app_ready

    add_plugin(app, "counting")
    add_plugin(app, "counting_too")
    with pytest.raises(ConfigurationError, match="count"):
        app_ready(app)


@pytest.fixture
def run(app: Flask) -> Any:
    def invoke(*arguments: str, fails: bool = False, stdin: str | None = None) -> Any:
        result = app.test_cli_runner().invoke(args=["clickstream", *arguments], input=stdin)
        assert (result.exit_code != 0) is fails, result.output
        return result.output if fails else result.stdout

    return invoke


@pytest.mark.parametrize("storage", BOTH, indirect=True)
def test_importing_a_ubi_log_twice_changes_nothing(
    site: Site, caller: Caller, run: Any, tmp_path: Path
) -> None:
    log = generate(1)
    file = tmp_path / "log.ndjson"
    file.write_text("\n".join([*log.bulk, "{broken"]))
    first = json.loads(run("import-ubi", str(file), "--account", caller.tenant))
    assert first["new_searches"] == len(log.searches)
    assert first["known_events"] == 0
    assert first["read"]["problems"] == [
        {"line": len(log.bulk) + 1, "reason": "the line is not valid JSON"}
    ]
    report = metrics(site, k=3)
    second = json.loads(run("import-ubi", str(file), "--account", caller.tenant))
    assert (second["new_searches"], second["new_events"]) == (0, 0)
    assert second["known_events"] == first["new_events"]
    assert metrics(site, k=3) == report

    truth = log.searches[0]
    session = site.session(truth.query_id)
    assert session["search_query"] == truth.query
    assert [result["object_id"] for result in session["search_results"]] == (truth.shown or [])
    known = [one for one in log.searches if one.shown is not None]
    full = [one for one in known if one.shown]
    assert report["zero_result_rate"]["n"] == len(known)
    clicked = sum(any((t.shown or []).index(c) < 3 for c in t.clicked) for t in full)
    assert report["ctr_at_k"]["value"] == pytest.approx(clicked / len(full))


def test_an_import_is_history_and_no_evidence(
    listener: Any, caller: Caller, run: Any, tmp_path: Path
) -> None:
    file = tmp_path / "log.ndjson"
    file.write_text("\n".join(generate(2).plain))
    run("import-ubi", str(file), "--account", caller.tenant)
    assert listener.told() == []


def test_what_was_exported_is_imported_by_another_account_as_the_same_metrics(
    app: Flask, site: Site, run: Any, make_caller: MakeCaller
) -> None:
    site.search("s1", "abc", user_id="u")
    site.click("s1", "b")
    site.search("s2", "ab", search_query="lamp")
    site.search("s3", "", search_query="nothing")
    other = make_caller(app)
    run("import-ubi", "-", "--account", other.tenant, stdin=export(site, "ubi-bulk"))
    mine, theirs = metrics(site), metrics(Site(site.client, other.headers))
    assert mine == theirs


def test_commands_print_metrics_and_exports(
    site: Site, caller: Caller, run: Any, tmp_path: Path
) -> None:
    site.search("s1", "ab", created_at=1700000000)
    site.click("s1", "b")
    account = ("--account", caller.tenant)
    assert json.loads(run("metrics", "--k", "1", *account)) == metrics(site, k=1)
    assert json.loads(run("metrics", "--from", "2023-11-15", *account))["searches"] == 0
    assert run("export", "letor", *account) == export(site, "letor")
    file = tmp_path / "out.ndjson"
    run("export", "ubi-events", "-o", str(file), *account)
    assert file.read_text() == export(site, "ubi-events")
    assert [line.split("\t")[0] for line in run("exports").splitlines()] == list(EXPORTS)


def test_commands_say_what_is_wrong(caller: Caller, run: Any) -> None:
    assert "no export csv" in run("export", "csv", "--account", caller.tenant, fails=True)
    assert "no account nobody" in run("metrics", "--account", "nobody", fails=True)
    assert "is no time" in run("metrics", "--from", "later", "--account", caller.tenant, fails=True)


@pytest.mark.parametrize(
    ("payload_filter", "fields"),
    [
        (None, set()),
        ({}, set()),
        ({"task": "x", "n": 1}, {"task", "n"}),
        ({"query": {"match": {"field": "a", "value": "b"}}}, {"a"}),
        ({"query": {"match_phrase": {"field": "a", "value": "b"}}}, {"a"}),
        ({"query": {"wildcard": {"field": "a", "value": "b*"}}}, {"a"}),
        ({"query": {"term": {"field": "a", "value": False}}}, {"a"}),
        ({"query": {"terms": {"field": "a", "values": ["b", 1, 2.5, True]}}}, {"a"}),
        ({"query": {"any": {"field": "a", "values": []}}}, {"a"}),
        ({"query": {"all": {"field": "a", "values": ["b"]}}}, {"a"}),
        ({"query": {"field": "a"}}, {"a"}),
        ({"query": {"field": "a", "range": {"gte": 1, "lt": 2.5, "eq": None}}}, {"a"}),
        (
            {
                "query": {
                    "bool": {
                        "must": [{"term": {"field": "a", "value": 1}}],
                        "must_not": [{"bool": {"should": [{"field": "b"}]}}],
                        "filter": None,
                    }
                }
            },
            {"a", "b"},
        ),
        ({"query": {"must": [{"field": "a"}]}}, {"a"}),
        ({"query": {"match": {"field": "a", "value": 1}}}, None),
        ({"query": {"term": {"field": "a", "value": [1]}}}, None),
        ({"query": {"terms": {"field": "a", "values": [{}]}}}, None),
        ({"query": {"field": "a", "range": {"above": 1}}}, None),
        ({"query": {"field": "a", "range": {"gt": True}}}, None),
        ({"query": {"bool": {"must": [{"unknown": 1}]}}}, None),
        ({"query": "text"}, None),
        ({"query": {"match": {"field": 1, "value": "b"}}}, None),
    ],
)
def test_the_structured_forms_of_a_filter_are_recognised(payload_filter: Any, fields: Any) -> None:
    assert fields_of(payload_filter) == fields


def test_a_filter_nested_beyond_all_measure_is_no_danger() -> None:
    form: Any = {"field": "a"}
    for _ in range(100_000):
        form = {"bool": {"must": [form]}}
    assert fields_of({"query": form}) == frozenset({"a"})


def test_the_page_names_every_metric_export_and_kind_of_evidence(site: Site) -> None:
    page = Path(__file__).parents[2].joinpath("docs", "search.md").read_text()
    named = set(re.findall(r"`([a-z_0-9-]+)`", page))
    assert set(metrics(site)) - {"k", "searches"} <= named
    assert set(EXPORTS) <= named
    assert {"zero_results", "result_click", "abandoned", "reformulation"} <= named


def test_every_route_is_documented_with_errors_examples_and_security(site: Site) -> None:
    paths = site.client.get("/openapi.json").json["paths"]  # type: ignore[index]
    wanted = {
        f"{prefix}{path}"
        for prefix in ("", "/api/v1/clickstream")
        for path in ("/session", "/session/events", "/session/irrelevant")
    } | {
        "/api/v1/clickstream/internal/batch/release",
        "/api/v1/clickstream/internal/batch/sessions",
        "/api/v1/clickstream/internal/session/use-for-improvement",
        "/v1/search/metrics",
        "/v1/search/judgments",
        "/v1/search/exports",
        "/v1/search/exports/{name}",
    }
    assert wanted <= set(paths)
    assert not any(path.endswith("/") for path in paths if "session" in path)
    for path in wanted:
        for method in {"get", "post"} & set(paths[path]):
            operation = paths[path][method]
            assert operation["summary"]
            assert operation["security"]
            assert {"200", "401", "422", "503"} <= set(operation["responses"])
            if method == "post":
                content = operation["requestBody"]["content"]["application/json"]
                assert content["example"]
                assert content["schema"]
