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
    builtin: Mapping[str, str], given: Mapping[str, Any], *, discover: bool = True
) -> Flask:
    """Return an app with the built-in plugins (name to module) and the installed ones.

    `given` are settings that win over the environment. `discover=False` leaves out what is installed.
    Raises ConfigurationError that names the setting or the plugin that is at fault.
    """
    disabled = given.get("SUBTEXT_PLUGINS_DISABLED")
    if disabled is None:
        disabled = words(os.environ.get("SUBTEXT_PLUGINS_DISABLED", ""))
    plugins = Plugins(builtin, disabled, discover=discover)
    declared = [*CORE_SETTINGS, *plugins.settings()]
    settings = read_settings(declared, os.environ, given, disabled=plugins.disabled)
    check_token_settings(settings)
    if settings["SUBTEXT_TRACE_PLUGINS"]:
        plugins.trace()

    metrics = Metrics()
    redis = open_redis(settings)
    app = Flask("subtext", static_folder=None)
    runtime = Runtime(
        settings=settings,
        plugins=plugins,
        database=open_database(
            settings["DATABASE_URL"],
            data=settings["SUBTEXT_DATA"],
            pool=settings["SUBTEXT_DATABASE_POOL"],
            timeout=settings["SUBTEXT_DATABASE_TIMEOUT"],
            synchronous=settings["SUBTEXT_SQLITE_SYNCHRONOUS"],
        ),
        redis=redis,
        jobs=JobRegistry(
            [*core_jobs(), *plugins.jobs()],
            redis,
            pause=settings["SUBTEXT_REDIS_PAUSE"],
            on_unsent=lambda _name: metrics.enqueue_failures.inc(),
        ),
        limits=Limits(settings, redis),
        metrics=metrics,
    )
    app.extensions[EXTENSION] = runtime
    plugins.models()  # checks their names
    web.install(app, runtime)
    api = openapi.install(app)
    for blueprint in [*views.build_blueprints(), *plugins.blueprints()]:
        _register(app, api, blueprint)
    cli.install(app, runtime)
    plugins.hook.app_ready(app=app)
    return app


def _register(app: Flask, api: openapi.Api, blueprint: Any) -> None:
    taken = {_address(rule): rule.endpoint for rule in app.url_map.iter_rules()}
    if hasattr(blueprint, "register_views_in_doc"):
        api.register_blueprint(blueprint)
    else:  # a plain Flask blueprint: sockets, pages
        app.register_blueprint(blueprint)
    for rule in app.url_map.iter_rules():
        other = taken.get(_address(rule))
        if rule.endpoint.startswith(f"{blueprint.name}.") and other not in (None, rule.endpoint):
            raise ConfigurationError(f"{blueprint.name} and {other} both answer {rule.rule}")


def _address(rule: Any) -> tuple[str, frozenset[str]]:
    return rule.rule, frozenset(rule.methods or ()) - {"OPTIONS", "HEAD"}
