from __future__ import annotations

import logging
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

import peewee
import pytest
from flask import Blueprint as PlainBlueprint
from flask import Flask, Request

from app import BUILTIN_PLUGINS
from core import ConfigurationError, Identity, Job, Model, Setting, hookimpl, hookspec
from core.factory import build_app
from core.manager import Plugins
from core.runtime import EXTENSION

if TYPE_CHECKING:
    from pathlib import Path

    from core.testing import MakeApp


def load(**plugins: object) -> Plugins:
    return Plugins({}, given=plugins, discover=False)


def build(**plugins: object) -> Flask:
    return build_app({}, {}, plugins=plugins, discover=False)


class Foreign(Model):
    text = peewee.TextField()

    class Meta:
        table_name = "core_secrets"


class Trespasser:
    """Registers one thing under a name that is not its own."""

    def __init__(self, hook: str, thing: Any) -> None:
        def register() -> list[Any]:
            return [thing]

        register.__name__ = hook
        setattr(self, hook, hookimpl(register))


@pytest.mark.parametrize(
    ("hook", "thing", "named"),
    [
        ("register_models", Foreign, "table core_secrets"),
        ("register_jobs", Job("core.sweep", print), r"job core\.sweep"),
        ("register_settings", Setting("SUBTEXT_DATA", "x", "X."), "setting SUBTEXT_DATA"),
        ("register_blueprints", PlainBlueprint("core_x", __name__), "blueprint core_x"),
    ],
)
def test_a_plugin_cannot_register_under_a_name_that_is_not_its_own(
    hook: str, thing: Any, named: str
) -> None:
    with pytest.raises(ConfigurationError, match=f"Plugin guest .*{named}.*DISABLED=guest"):
        build(guest=Trespasser(hook, thing))


def test_two_plugins_whose_names_overlap_cannot_register_one_thing_twice() -> None:
    thing = PlainBlueprint("a_b_pages", __name__)

    with pytest.raises(ConfigurationError, match="a and a_b both register blueprint a_b_pages"):
        build(
            a=Trespasser("register_blueprints", thing),
            a_b=Trespasser("register_blueprints", thing),
        )


def page(name: str, *methods: str) -> PlainBlueprint:
    blueprint = PlainBlueprint(name, __name__)
    blueprint.add_url_rule("/page", "page", lambda: name, methods=list(methods))
    return blueprint


def test_two_plugins_cannot_answer_one_address() -> None:
    with pytest.raises(ConfigurationError, match=r"second and first\.page both answer /page"):
        build(
            first=Trespasser("register_blueprints", page("first", "GET")),
            second=Trespasser("register_blueprints", page("second", "GET", "POST")),
        )


def test_two_plugins_may_answer_one_address_for_different_methods() -> None:
    app = build_app(
        {},
        {"SUBTEXT_RATE_LIMITS": False},
        plugins={
            "first": Trespasser("register_blueprints", page("first", "GET")),
            "second": Trespasser("register_blueprints", page("second", "POST")),
        },
        discover=False,
    )

    assert app.test_client().get("/page").text == "first"
    assert app.test_client().post("/page").text == "second"


@pytest.mark.parametrize("name", ["core", "db", "jobs", "Mood", "my-plugin", "1st", "", "a.b"])
def test_a_name_that_cannot_start_tables_and_settings_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match="cannot have this name"):
        Plugins({}, given={name: object()}, discover=False)


def test_a_misspelt_hook_stops_the_start() -> None:
    class Misspelt:
        @hookimpl
        def register_setings(self) -> list[Setting]:
            return []

    with pytest.raises(ConfigurationError, match=r"Plugin typo .*register_setings.*DISABLED=typo"):
        load(typo=Misspelt())


def test_a_hook_with_an_argument_nobody_passes_stops_the_start() -> None:
    class Curious:
        @hookimpl
        def check_health(self, weather: str) -> list[Any]:
            return [weather]

    with pytest.raises(ConfigurationError, match=r"Plugin curious .*weather.*DISABLED=curious"):
        load(curious=Curious())


def test_a_plugin_that_cannot_be_imported_is_named_with_the_setting_that_blocks_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_plugin_module.py").write_text("raise ZeroDivisionError('on purpose')")
    monkeypatch.syspath_prepend(tmp_path)

    with pytest.raises(
        ConfigurationError, match=r"broken \(built in\).*on purpose.*DISABLED=broken"
    ):
        Plugins({"broken": "broken_plugin_module"}, discover=False)


def test_a_plugin_that_fails_while_it_registers_is_named() -> None:
    class Failing:
        @hookimpl
        def register_jobs(self) -> list[Job]:
            raise KeyError("on purpose")

    with pytest.raises(ConfigurationError, match=r"Plugin failing .*register_jobs.*on purpose"):
        build(failing=Failing())


def test_a_disabled_plugin_is_not_even_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sleeping_plugin_module.py").write_text("raise AssertionError('imported')")
    monkeypatch.syspath_prepend(tmp_path)

    plugins = Plugins({"sleeping": "sleeping_plugin_module"}, ["sleeping"], discover=False)

    assert plugins.names == []
    assert "sleeping_plugin_module" not in sys.modules


def test_two_plugins_of_one_name_stop_the_start() -> None:
    with pytest.raises(
        ConfigurationError, match=r"Two plugins are named json \(built in and given"
    ):
        Plugins({"json": "json"}, given={"json": object()}, discover=False)


class Numbered:
    def __init__(self, number: int) -> None:
        self.number = number

    @hookimpl
    def erase_session(self, session: Any) -> int:
        return self.number

    @hookimpl
    def authenticate(self, request: Request) -> Identity | None:
        return Identity(self.number, "x", "x", frozenset(), "number") if self.number else None


def test_results_come_in_the_order_of_the_plugins() -> None:
    plugins = load(first=Numbered(1), second=Numbered(2), third=Numbered(3))

    assert plugins.hook.erase_session(session=None) == [1, 2, 3]
    assert plugins.collect("erase_session", session=None) == [
        ("first", 1),
        ("second", 2),
        ("third", 3),
    ]
    assert plugins.only("second").erase_session(session=None) == [2]


def test_a_later_plugin_is_asked_first_when_the_first_answer_counts() -> None:
    plugins = load(first=Numbered(1), second=Numbered(2), silent=Numbered(0))

    assert plugins.hook.authenticate(request=None).account_id == 2


def test_a_plugin_can_offer_hooks_to_others() -> None:
    offer = ModuleType("offer")

    @hookspec
    def colour_chosen(colour: str) -> str:
        raise NotImplementedError

    offer.colour_chosen = colour_chosen  # type: ignore[attr-defined]

    class Offering:
        @hookimpl
        def register_hookspecs(self) -> ModuleType:
            return offer

    class Listening:
        @hookimpl
        def colour_chosen(self, colour: str) -> str:
            return f"{colour} it is"

    plugins = load(listening=Listening(), offering=Offering())

    assert plugins.hook.colour_chosen(colour="red") == ["red it is"]
    assert plugins.implementers("colour_chosen") == ["listening"]
    with pytest.raises(ConfigurationError, match="Plugin listening"):
        load(listening=Listening())


def install(directory: Path, name: str, code: str) -> None:
    """Lay a distribution with an entry point into a directory, as pip would."""
    (directory / f"subtext_{name}.py").write_text(code)
    info = directory / f"subtext_{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: subtext-{name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[subtext.plugins]\n{name} = subtext_{name}\n")


INSTALLED = """
from core import Setting, hookimpl

@hookimpl
def register_settings():
    return [Setting("SUBTEXT_HEARTS_RATE", 60, "Beats.", int)]
"""


def test_an_installed_package_is_found_by_its_entry_point(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, "hearts", INSTALLED)
    monkeypatch.syspath_prepend(tmp_path)

    app = build_app({}, {"SUBTEXT_PLUGINS_DISABLED": tuple(BUILTIN_PLUGINS)})

    runtime = app.extensions[EXTENSION]
    assert runtime.plugins.origins["hearts"] == "subtext-hearts"
    assert runtime.settings["SUBTEXT_HEARTS_RATE"] == 60


def test_an_installed_package_that_is_disabled_is_not_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, "boulders", "raise AssertionError('imported')")
    monkeypatch.syspath_prepend(tmp_path)

    with pytest.raises(ConfigurationError, match=r"boulders \(subtext-boulders\)"):
        build_app({}, {})
    app = build_app({}, {"SUBTEXT_PLUGINS_DISABLED": "boulders"})

    assert "boulders" not in app.extensions[EXTENSION].plugins.names


def test_tracing_logs_each_call_with_who_answered_and_what(
    make_core: MakeApp, caplog: pytest.LogCaptureFixture
) -> None:
    app = make_core(plugins={"seven": Numbered(7)}, SUBTEXT_TRACE_PLUGINS=True)

    with caplog.at_level(logging.INFO, "core.manager"):
        app.extensions[EXTENSION].plugins.hook.erase_session(session=None)

    assert "hook erase_session(session) -> seven" in caplog.messages
    assert "hook erase_session returned [7]" in caplog.messages


def test_the_last_thing_a_plugin_hears_is_that_the_app_is_complete() -> None:
    seen: list[tuple[str, bool]] = []

    class Watching:
        @hookimpl
        def app_ready(self, app: Flask) -> None:
            seen.append((app.name, "/livez" in {rule.rule for rule in app.url_map.iter_rules()}))

    build(watching=Watching())

    assert seen == [("subtext", True)]


def test_two_apps_in_one_process_have_their_own_plugins() -> None:
    one, two = build(left=Numbered(1)), build(right=Numbered(2))

    assert one.extensions[EXTENSION].plugins.names == ["left"]
    assert two.extensions[EXTENSION].plugins.names == ["right"]
