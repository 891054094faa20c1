from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from app import BUILTIN_PLUGINS
from core import ConfigurationError, Setting, flag, hookimpl
from core.factory import build_app
from core.runtime import EXTENSION
from core.settings import CORE_SETTINGS, read_settings, words

if TYPE_CHECKING:
    from collections.abc import Iterable

    from core.testing import MakeApp

DECLARED = (
    Setting("SUBTEXT_COLOUR", "blue", "A colour."),
    Setting("SUBTEXT_SECRET_NUMBER", 0, "A number.", int, secret=True),
    Setting("SUBTEXT_LIGHT", False, "A switch.", flag),
)


class Lamp:
    @hookimpl
    def register_settings(self) -> Iterable[Setting]:
        return [Setting("SUBTEXT_LAMP_WATTS", 40, "How bright.", int)]


def test_arguments_win_over_the_environment_which_wins_over_the_defaults() -> None:
    assert read_settings(DECLARED, {}, {})["SUBTEXT_COLOUR"] == "blue"
    environment = {"SUBTEXT_COLOUR": "red"}
    assert read_settings(DECLARED, environment, {})["SUBTEXT_COLOUR"] == "red"
    given = {"SUBTEXT_COLOUR": "green"}
    assert read_settings(DECLARED, environment, given)["SUBTEXT_COLOUR"] == "green"


def test_an_unknown_name_in_the_environment_stops_the_start_with_the_nearest_known_one() -> None:
    with pytest.raises(ConfigurationError, match=r"SUBTEXT_COLOR .* did you mean SUBTEXT_COLOUR\?"):
        read_settings(DECLARED, {"SUBTEXT_COLOR": "red"}, {})


def test_an_unknown_argument_stops_the_start() -> None:
    with pytest.raises(ConfigurationError, match="SUBTEXT_LIGHTS is not a setting"):
        read_settings(DECLARED, {}, {"SUBTEXT_LIGHTS": True})


def test_names_of_other_programs_in_the_environment_are_left_alone() -> None:
    assert read_settings(DECLARED, {"PATH": "/bin", "SUBTEX_COLOUR": "x"}, {})


def test_a_value_that_cannot_be_read_is_named_with_its_setting() -> None:
    with pytest.raises(ConfigurationError, match=r"SUBTEXT_LIGHT: 'maybe' .* must be 1 or 0"):
        read_settings(DECLARED, {"SUBTEXT_LIGHT": "maybe"}, {})


def test_a_secret_that_cannot_be_read_is_not_shown() -> None:
    with pytest.raises(ConfigurationError) as failure:
        read_settings(DECLARED, {"SUBTEXT_SECRET_NUMBER": "hunter2"}, {})

    assert "SUBTEXT_SECRET_NUMBER" in str(failure.value)
    assert "hunter2" not in str(failure.value)
    assert failure.value.__cause__ is None


def test_settings_do_not_show_their_values() -> None:
    assert "hunter2" not in repr(read_settings(DECLARED, {"SUBTEXT_COLOUR": "hunter2"}, {}))


def test_two_settings_of_one_name_stop_the_start() -> None:
    with pytest.raises(ConfigurationError, match="Two settings are named SUBTEXT_COLOUR"):
        read_settings([*DECLARED, DECLARED[0]], {}, {})


def test_a_plugin_reads_its_setting_from_the_environment(
    make_core: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUBTEXT_LAMP_WATTS", "60")

    app = make_core(plugins={"lamp": Lamp()})

    assert app.extensions[EXTENSION].settings["SUBTEXT_LAMP_WATTS"] == 60


def test_the_settings_of_a_disabled_plugin_may_stay_in_the_environment(
    make_core: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUBTEXT_LAMP_WATTS", "60")

    app = make_core(plugins={"lamp": Lamp()}, SUBTEXT_PLUGINS_DISABLED=(*BUILTIN_PLUGINS, "lamp"))

    assert "SUBTEXT_LAMP_WATTS" not in app.extensions[EXTENSION].settings


def test_the_environment_names_disabled_plugins_with_commas(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SUBTEXT_PLUGINS_DISABLED", "lamp, candle")

    app = build_app({"lamp": "no.such.module", "candle": "none.either"}, {}, discover=False)

    assert app.extensions[EXTENSION].plugins.names == []


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("SUBTEXT_DATABASE_POOL", "0"),
        ("SUBTEXT_DATABASE_POOL", "many"),
        ("SUBTEXT_DATABASE_TIMEOUT", "nan"),
        ("SUBTEXT_DATABASE_TIMEOUT", "inf"),
        ("SUBTEXT_DATABASE_TIMEOUT", "-1"),
        ("SUBTEXT_REDIS_TIMEOUT", "0"),
        ("SUBTEXT_PROXIES", "-1"),
        ("SUBTEXT_RETENTION_DAYS", "1.5"),
        ("SUBTEXT_RATE_LIMITS", "perhaps"),
        ("SUBTEXT_LOG_LEVEL", "LOUD"),
        ("SUBTEXT_RATE_LIMIT", "a lot"),
        ("SUBTEXT_RATE_LIMIT_ADDRESS", ""),
        ("SUBTEXT_SQLITE_SYNCHRONOUS", "OFF"),
        ("SUBTEXT_JWT_SECRET", "short"),
        ("SUBTEXT_JWT_PUBLIC_KEY", "/no/such/file"),
        ("SUBTEXT_JWT_PUBLIC_KEY", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----"),
        ("SUBTEXT_JWT_JWKS", "/no/such/file"),
        ("SUBTEXT_CORS_ORIGINS", "https://*.example.com"),
        ("SUBTEXT_CORS_ORIGINS", "example.com"),
        ("DATABASE_URL", "mysql://somewhere/x"),
        ("DATABASE_URL", "sqlite://:memory:"),
        ("DATABASE_URL", "sqlite://subtext.db"),
        ("DATABASE_URL", "subtext.db"),
        ("REDIS_URL", "http://somewhere"),
        ("REDIS_URL", "redis://somewhere:port"),
    ],
)
def test_a_bad_value_stops_the_start_and_names_its_setting(
    name: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, text)

    with pytest.raises(ConfigurationError, match=name):
        build_app({}, {}, discover=False)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://user:hunter2%zz@host/name",
        "postgres://user:hunter2@host/name?nonsense=1",
        "http://user:hunter2@host",
    ],
)
def test_a_database_url_that_cannot_be_read_is_not_shown(url: str) -> None:
    with pytest.raises(ConfigurationError, match="DATABASE_URL") as failure:
        build_app({}, {"DATABASE_URL": url}, discover=False)

    assert "hunter2" not in str(failure.value)
    assert failure.value.__cause__ is None


def test_a_redis_url_that_cannot_be_read_is_not_shown() -> None:
    with pytest.raises(ConfigurationError, match="REDIS_URL") as failure:
        build_app({}, {"REDIS_URL": "redis://:hunter2#x@host:1"}, discover=False)

    assert "hunter2" not in str(failure.value)
    assert failure.value.__cause__ is None


def test_building_an_app_opens_nothing(tmp_path: Any) -> None:
    build_app(
        {},
        {"SUBTEXT_DATA": str(tmp_path / "data"), "REDIS_URL": "redis://127.0.0.1:1"},
        discover=False,
    )

    assert list(tmp_path.iterdir()) == []


def test_every_core_setting_says_what_it_is_for() -> None:
    assert all(setting.help.endswith(".") for setting in CORE_SETTINGS)


@pytest.mark.parametrize("text", ["1", "true", "YES", " on "])
def test_a_switch_is_on(text: str) -> None:
    assert flag(text) is True


@pytest.mark.parametrize("text", ["0", "false", "No", "off", "", "  "])
def test_a_switch_is_off(text: str) -> None:
    assert flag(text) is False


def test_a_list_is_separated_by_commas_or_spaces() -> None:
    assert words(" a, b c,,d ") == ("a", "b", "c", "d")
