"""The operator's documents say what the code does."""

from __future__ import annotations

import importlib
import inspect
import re
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

from app import BUILTIN_PLUGINS, create_app
from core import hookspecs, settings_page
from core.runtime import EXTENSION

if TYPE_CHECKING:
    from pathlib import Path

    from flask import Flask

#: Hooks without an implementation in a built-in plugin; `docs/hooks.md` says why.
ONLY_FOR_OTHERS = {"check_health", "authenticate"}


@pytest.fixture(scope="module")
def whole() -> Flask:
    """Return the app as it comes."""
    return create_app()


def offered(app: Flask) -> dict[str, Any]:
    """Return every hook: the core's, then those that plugins offer."""
    modules = [
        hookspecs,
        *(m for _, m in app.extensions[EXTENSION].plugins.collect("register_hookspecs")),
    ]
    return {
        name: found
        for module in modules
        for name, found in vars(module).items()
        if hasattr(found, "subtext_spec")
    }


def sections(page: str) -> dict[str, str]:
    """Return what stands below each heading of the third level."""
    parts = re.split(r"^### (\S+)\n", page, flags=re.MULTILINE)[1:]
    return {
        name: re.split(r"^## ", text, flags=re.MULTILINE)[0]
        for name, text in zip(parts[::2], parts[1::2], strict=True)
    }


def test_the_page_of_settings_is_the_one_the_code_writes(root: Path) -> None:
    page = (root / "docs" / "settings.md").read_text()

    assert page == settings_page.render(settings_page.declared()), (
        "python -m core.settings_page > docs/settings.md"
    )


def test_every_hook_is_described_and_nothing_else(root: Path, whole: Flask) -> None:
    described = sections((root / "docs" / "hooks.md").read_text())

    assert sorted(described) == sorted(offered(whole))


def test_signatures_of_hooks_are_those_of_the_code(root: Path, whole: Flask) -> None:
    described = sections((root / "docs" / "hooks.md").read_text())

    for name, hook in offered(whole).items():
        signature = str(inspect.signature(hook)).replace("'", "")
        assert described[name].strip().splitlines()[0] == f"`{name}{signature}`"


def example(section: str) -> ModuleType:
    (code,) = re.findall(r"```python\n(.*?)```", section, flags=re.DOTALL)
    module = ModuleType("example")
    exec(compile(code, "docs/hooks.md", "exec"), vars(module))  # noqa: S102 (our own page)
    return module


def test_every_example_of_a_hook_is_a_plugin_that_boots(root: Path) -> None:
    for name, section in sections((root / "docs" / "hooks.md").read_text()).items():
        app = create_app(plugins={"example": example(section)}, SUBTEXT_RATE_LIMITS=False)

        assert app.extensions[EXTENSION].plugins.implementers(name)[-1:] == ["example"], name
        assert app.test_client().get("/livez").status_code == 200


def test_every_hook_has_a_caller_and_an_implementation(root: Path, whole: Flask) -> None:
    plugins = whole.extensions[EXTENSION].plugins
    code = "\n".join(
        path.read_text()
        for part in ("core", "plugins")
        for path in (root / part).rglob("*.py")
        if path.name != "hookspecs.py"
    )

    for name in offered(whole):
        assert re.search(rf'\)\.{name}\(|hook\.{name}\(|"{name}"', code), f"nobody calls {name}"
        built_in = set(plugins.implementers(name)) & set(BUILTIN_PLUGINS)
        assert bool(built_in) is (name not in ONLY_FOR_OTHERS), name


def test_every_decision_has_a_number_of_its_own_and_the_usual_parts(root: Path) -> None:
    pages = sorted((root / "docs" / "decisions").glob("*.md"))

    assert [int(page.name[:4]) for page in pages] == list(range(1, len(pages) + 1))
    for page in pages:
        text = page.read_text()
        assert text.startswith(f"# {int(page.name[:4])}. ")
        for part in ("## Context", "## Decision", "## Consequence"):
            assert part in text, f"{page.name} lacks {part}"


def test_every_command_in_the_documents_for_operators_exists(root: Path, whole: Flask) -> None:
    page = (root / "docs" / "operations.md").read_text()
    commands = set(re.findall(r"flask ([a-z]+) ([a-z-]+)", page))

    assert commands
    for group, command in commands:
        found: Any = whole.cli.commands.get(group)
        assert found is not None, f"flask {group}"
        assert command in found.commands, f"flask {group} {command}"


def test_every_setting_in_the_documents_for_operators_exists(root: Path, whole: Flask) -> None:
    page = (root / "docs" / "operations.md").read_text()

    named = set(re.findall(r"SUBTEXT_[A-Z_]*[A-Z]", page))
    assert named
    assert named <= set(whole.extensions[EXTENSION].settings)


@pytest.mark.parametrize("document", ["settings.md", "hooks.md", "operations.md"])
def test_links_between_documents_lead_somewhere(document: str, root: Path) -> None:
    page = root / "docs" / document

    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
        assert (page.parent / target).exists(), target


def test_what_the_facade_names_is_there() -> None:
    facade = importlib.import_module("core")

    assert sorted(set(facade.__all__)) == sorted(facade.__all__)
    assert [name for name in facade.__all__ if not hasattr(facade, name)] == []
