"""What the README shows works as it stands."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from core.processes import Tree

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")
ADDRESS = "http://127.0.0.1:8000"
END_OF_BLOCK = "end-of-block"
#: The pages that everyone who comes to the repository reads.
PAGES = ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")


def blocks(language: str) -> Iterator[tuple[int, str]]:
    """Yield (position, text) of the code blocks of a language."""
    for match in re.finditer(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL):
        yield match.start(), match.group(1)


def documents(text: str) -> list[Any]:
    """Read JSON documents that stand one after the other."""
    decoder, found, at = json.JSONDecoder(), [], 0
    while text[at:].strip():
        at += len(text[at:]) - len(text[at:].lstrip())
        document, at = decoder.raw_decode(text, at)
        found.append(document)
    return found


def commands() -> list[tuple[int, str]]:
    return [(position, text) for position, text in blocks("sh") if "curl" in text]


def expected_after(position: int) -> list[Any]:
    """Return what the README says a block prints: the JSON that follows before the next block."""
    following = min(
        (
            (at, language, text)
            for language in ("sh", "json")
            for at, text in blocks(language)
            if at > position
        ),
        default=(0, "", ""),
    )
    return documents(following[2]) if following[1] == "json" else []


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_commands_print_what_the_readme_says(tmp_path: Path) -> None:
    environment = {"DATABASE_URL": "", "REDIS_URL": ""}
    with Tree(tmp_path, environment=environment) as tree:
        script = "".join(f"{text}\necho {END_OF_BLOCK}\n" for _, text in commands())
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script.replace(ADDRESS, tree.url)],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    outputs = done.stdout.split(END_OF_BLOCK)[:-1]
    printed = [documents(output) for output in outputs]
    assert printed == [expected_after(position) for position, _ in commands()]
    assert sum(map(len, printed)) >= 5


def test_the_make_targets_it_names_exist() -> None:
    targets = set(re.findall(r"\bmake ([a-z]+)", README))
    assert {"demo", "run", "test", "lint"} <= targets
    environment = {name: value for name, value in os.environ.items() if "MAKE" not in name}
    subprocess.run(["make", "--dry-run", *targets], cwd=ROOT, env=environment, check=True)


@pytest.mark.parametrize("page", PAGES)
def test_every_link_within_the_repository_leads_somewhere(page: str) -> None:
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", (ROOT / page).read_text("utf-8"))
    local = [link for link in links if "://" not in link]
    assert [link for link in local if not (ROOT / link).exists()] == []


def test_the_version_it_needs_is_the_one_the_project_declares() -> None:
    declared = re.search(r'requires-python = ">=(.+)"', (ROOT / "pyproject.toml").read_text())
    assert declared is not None
    assert f"Python {declared.group(1)} or newer" in README
