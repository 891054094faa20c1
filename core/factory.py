"""Puts an app together from its parts; opens nothing."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from flask import Flask

from core import cli, openapi, views, web
from core.database import open_database
from core.errors import ConfigurationError
from core.jobs import JobRegistry
from core.limits import Limits
from core.maintenance import core_jobs
from core.manager import Plugins
from core.metrics import Metrics
from core.redis import open_redis
from core.runtime import EXTENSION, Runtime
from core.settings import CORE_SETTINGS, read_settings, words
from core.tokens import check_token_settings

if TYPE_CHECKING:
    from collections.abc import Mapping


def build_app(
    builtin: Mapping[str, str],
    given: Mapping[str, Any],
    *,
    plugins: Mapping[str, object] | None = None,
    discover: bool = True,
) -> Flask:
    """Return an app with the built-in plugins (name to module's name), those of `plugins`, and the installed ones.

    `given` are settings that win over the environment; `plugins` are modules or objects with hook implementations, by
    name. `discover=False` leaves out what is installed.
    Raises ConfigurationError that names the setting or the plugin that is at fault.
    """
    disabled = given.get("SUBTEXT_PLUGINS_DISABLED")
    if disabled is None:
        disabled = words(os.environ.get("SUBTEXT_PLUGINS_DISABLED", ""))
    elif isinstance(disabled, str):
        disabled = words(disabled)
    loaded = Plugins(builtin, disabled, given=plugins, discover=discover)
    declared = [*CORE_SETTINGS, *loaded.settings()]
    settings = read_settings(declared, os.environ, given, disabled=loaded.disabled)
    check_token_settings(settings)
    if settings["SUBTEXT_TRACE_PLUGINS"]:
        loaded.trace()

    metrics = Metrics()
    redis = open_redis(settings)
    app = Flask("subtext", static_folder=None)
    runtime = Runtime(
        settings=settings,
        plugins=loaded,
        database=open_database(
            settings["DATABASE_URL"],
            data=settings["SUBTEXT_DATA"],
            pool=settings["SUBTEXT_DATABASE_POOL"],
            timeout=settings["SUBTEXT_DATABASE_TIMEOUT"],
            synchronous=settings["SUBTEXT_SQLITE_SYNCHRONOUS"],
        ),
        redis=redis,
        jobs=JobRegistry(
            [*core_jobs(), *loaded.jobs()],
            redis,
            pause=settings["SUBTEXT_REDIS_PAUSE"],
            on_unsent=lambda _name: metrics.enqueue_failures.inc(),
        ),
        limits=Limits(settings, redis),
        metrics=metrics,
    )
    app.extensions[EXTENSION] = runtime
    loaded.models()  # checks their names
    web.install(app, runtime)
    api = openapi.install(app)
    for blueprint in [*views.build_blueprints(), *loaded.blueprints()]:
        _register(app, api, blueprint)
    cli.install(app, runtime)
    loaded.hook.app_ready(app=app)
    return app


def _register(app: Flask, api: openapi.Api, blueprint: Any) -> None:
    taken = {
        address: rule.endpoint for rule in app.url_map.iter_rules() for address in _addresses(rule)
    }
    if hasattr(blueprint, "register_views_in_doc"):
        api.register_blueprint(blueprint)
    else:  # a plain Flask blueprint: sockets, pages
        app.register_blueprint(blueprint)
    for rule in app.url_map.iter_rules():
        if not rule.endpoint.startswith(f"{blueprint.name}."):
            continue
        for other in {taken.get(address) for address in _addresses(rule)} - {None, rule.endpoint}:
            raise ConfigurationError(f"{blueprint.name} and {other} both answer {rule.rule}")


def _addresses(rule: Any) -> list[tuple[str, bool, str]]:
    methods = set(rule.methods or ()) - {"OPTIONS", "HEAD"}
    return [(rule.rule, rule.websocket, method) for method in methods]
