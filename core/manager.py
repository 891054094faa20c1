"""One pluggy manager for each app: loading, names kept apart, typed access to what hooks return."""

from __future__ import annotations

import importlib
import importlib.metadata
import logging
import re
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pluggy

from core import hookspecs
from core.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from core.jobs import Job
    from core.settings import Setting

logger = logging.getLogger(__name__)

#: The entry-point group in which a third-party package names its plugin.
ENTRY_POINT_GROUP = "subtext.plugins"
#: Names that would collide with the core's tables, jobs and settings.
RESERVED_NAMES = frozenset(
    {"core", "db", "keys", "tokens", "plugins", "jobs", "sessions", "run", "shell", "routes"}
)
_NAME = re.compile(r"[a-z][a-z0-9_]*")


class Plugins:
    """Load plugins and answer for them in a fixed order: built-in and given ones as listed, installed ones by name."""

    def __init__(
        self,
        builtin: Mapping[str, str],
        disabled: Iterable[str] = (),
        *,
        given: Mapping[str, object] | None = None,
        discover: bool = True,
    ) -> None:
        """Load what is not in `disabled`.

        `builtin` maps a plugin's name to its module's, `given` to the plugin itself: a module or an object. Raises
        ConfigurationError that names the plugin, and the setting that blocks it, when one cannot be loaded.
        """
        self.manager = pluggy.PluginManager("subtext")
        self.manager.add_hookspecs(hookspecs)
        self.disabled = frozenset(disabled)
        self.names: list[str] = []
        self.origins: dict[str, str] = {}
        self._owners: dict[tuple[str, str], str] = {}
        for name, module in builtin.items():
            if name not in self.disabled:
                self._register(
                    name, lambda module=module: importlib.import_module(module), "built in"
                )
        for name, plugin in (given or {}).items():
            if name not in self.disabled:
                self._register(name, lambda plugin=plugin: plugin, "given")
        if discover:
            self._discover()
        self._add_hookspecs()

    @property
    def hook(self) -> Any:
        """Give access to the hooks by name, as pluggy does; results come in the order of the plugins."""
        return _OrderedHooks(self.manager)

    def only(self, name: str) -> Any:
        """Give access to the hooks with one plugin answering."""
        others = [plugin for other, plugin in self.manager.list_name_plugin() if other != name]
        return _OrderedHooks(self.manager, others)

    def implementers(self, hook_name: str) -> list[str]:
        """Return the names of the plugins that implement a hook, in order."""
        found = {impl.plugin_name for impl in getattr(self.manager.hook, hook_name).get_hookimpls()}
        return [name for name in self.names if name in found]

    def collect(self, hook_name: str, **arguments: Any) -> list[tuple[str, Any]]:
        """Return (plugin, result) of each plugin that implements a hook, in order."""
        return [
            (name, result)
            for name in self.implementers(hook_name)
            for result in [_single(getattr(self.only(name), hook_name)(**arguments))]
            if result is not None
        ]

    def settings(self) -> list[Setting]:
        """Return the plugins' settings, each under its plugin's name."""
        found: list[Setting] = []
        for name, settings in self._at_start("register_settings"):
            prefix = f"SUBTEXT_{name.upper()}_"
            for setting in settings:
                self._demand(name, "setting", setting.name, setting.name.startswith(prefix), prefix)
                found.append(setting)
        return found

    def migrations(self) -> list[tuple[str, Path]]:
        """Return (plugin, directory) of each series of migrations."""
        return [(name, Path(directory)) for name, directory in self.collect("register_migrations")]

    def models(self) -> list[type[Any]]:
        """Return the plugins' tables."""
        found: list[type[Any]] = []
        for name, models in self._at_start("register_models"):
            for model in models:
                table = model._meta.table_name  # noqa: SLF001 (peewee's documented metadata)
                self._demand(name, "table", table, table.startswith(f"{name}_"), f"{name}_")
                found.append(model)
        return found

    def jobs(self) -> list[Job]:
        """Return the plugins' jobs."""
        found: list[Job] = []
        for name, jobs in self._at_start("register_jobs"):
            for job in jobs:
                self._demand(name, "job", job.name, job.name.startswith(f"{name}."), f"{name}.")
                found.append(job)
        return found

    def blueprints(self) -> list[Any]:
        """Return the plugins' blueprints."""
        found: list[Any] = []
        for name, blueprints in self._at_start("register_blueprints"):
            for blueprint in blueprints:
                fits = blueprint.name == name or blueprint.name.startswith(f"{name}_")
                self._demand(name, "blueprint", blueprint.name, fits, name)
                found.append(blueprint)
        return found

    def trace(self) -> None:
        """Log every hook call with its implementations and results."""

        def before(hook_name: str, implementations: Any, arguments: Any) -> None:
            names = ", ".join(impl.plugin_name for impl in implementations)
            logger.info("hook %s(%s) -> %s", hook_name, ", ".join(arguments), names)

        def after(outcome: Any, hook_name: str, *_: Any) -> None:
            logger.info("hook %s returned %r", hook_name, outcome.get_result())

        self.manager.add_hookcall_monitoring(before, after)

    def _discover(self) -> None:
        found = importlib.metadata.entry_points(group=ENTRY_POINT_GROUP)
        for entry in sorted(found, key=lambda entry: entry.name):
            if entry.name not in self.disabled:
                origin = entry.dist.name if entry.dist is not None else entry.value
                self._register(entry.name, entry.load, origin)

    def _register(self, name: str, load: Any, origin: str) -> None:
        hint = f"set SUBTEXT_PLUGINS_DISABLED={name} to start without it"
        if not _NAME.fullmatch(name) or name in RESERVED_NAMES:
            raise ConfigurationError(f"Plugin {name!r} ({origin}) cannot have this name; {hint}")
        if name in self.names:
            raise ConfigurationError(
                f"Two plugins are named {name} ({self.origins[name]} and {origin}); {hint}"
            )
        try:
            plugin = load()
            self.manager.register(plugin, name)
        except (Exception, SystemExit) as error:
            # Whatever a stranger's import raises, the operator learns whose it was.
            raise ConfigurationError(
                f"Plugin {name} ({origin}) cannot be loaded: {error!r}; {hint}"
            ) from error
        self.names.append(name)
        self.origins[name] = origin

    def _at_start(self, hook_name: str) -> Iterator[tuple[str, list[Any]]]:
        for name in self.implementers(hook_name):
            try:
                found = list(_single(getattr(self.only(name), hook_name)()) or ())
            except ConfigurationError:
                raise
            except (Exception, SystemExit) as error:  # a stranger's code, as in `_register`
                raise ConfigurationError(
                    f"Plugin {name} ({self.origins[name]}) fails in {hook_name}: {error!r}; "
                    f"set SUBTEXT_PLUGINS_DISABLED={name} to start without it"
                ) from error
            yield name, found

    def _add_hookspecs(self) -> None:
        try:
            for _name, module in self.collect("register_hookspecs"):
                assert isinstance(module, ModuleType)  # noqa: S101 (typing only)
                self.manager.add_hookspecs(module)
            self.manager.check_pending()
        except pluggy.PluginValidationError as error:
            name = self.manager.get_name(error.plugin)
            raise ConfigurationError(
                f"Plugin {name} implements a hook that nobody offers in this form: {error}; "
                f"set SUBTEXT_PLUGINS_DISABLED={name} to start without it"
            ) from error

    def _demand(self, plugin: str, what: str, name: str, fits: bool, prefix: str) -> None:  # noqa: FBT001
        if not fits:
            raise ConfigurationError(
                f"Plugin {plugin} ({self.origins[plugin]}) registers {what} {name}, which must start with {prefix}; "
                f"set SUBTEXT_PLUGINS_DISABLED={plugin} to start without it"
            )
        owner = self._owners.setdefault((what, name), plugin)
        if owner != plugin:  # `a` and `a_b` may both have a table `a_b_c`
            raise ConfigurationError(
                f"Plugins {owner} and {plugin} both register {what} {name}; "
                f"set SUBTEXT_PLUGINS_DISABLED={plugin} to start without one of them"
            )


class _OrderedHooks:
    """Call hooks so that results come in the order in which plugins were registered (pluggy's is the reverse)."""

    def __init__(self, manager: pluggy.PluginManager, without: Iterable[object] = ()) -> None:
        self._manager = manager
        self._without = list(without)

    def __getattr__(self, name: str) -> Any:
        caller = (
            self._manager.subset_hook_caller(name, self._without)
            if self._without
            else getattr(self._manager.hook, name)
        )

        def call(**arguments: Any) -> Any:
            result = caller(**arguments)
            return result[::-1] if isinstance(result, list) else result

        return call


def _single(result: Any) -> Any:
    if isinstance(result, list):
        return result[0] if result else None
    return result
