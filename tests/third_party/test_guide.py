"""`docs/plugins.md` is true: its commands run as they stand, its excerpts are in the example."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.third_party.conftest import EXAMPLE, PATIENCE, ROOT, create_environment

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

GUIDE = ROOT / "docs" / "plugins.md"
#: A fenced block and the comment in front of it that says what it is.
BLOCK = re.compile(
    r"(?:<!-- (?P<role>.+?) -->\n)?^```(?P<kind>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)


@dataclass(frozen=True)
class Block:
    """Hold one block of the guide."""

    role: str
    text: str


def blocks() -> list[Block]:
    """Return the guide's blocks in order."""
    found = BLOCK.finditer(GUIDE.read_text())
    return [Block(match["role"] or "", match["text"]) for match in found]


EXCERPTS = [block for block in blocks() if block.role.startswith("from ")]


def test_every_block_of_the_guide_is_run_or_taken_from_the_example() -> None:
    roles = {block.role.split()[0] if block.role else "" for block in blocks()}

    assert roles == {"file", "run", "output", "from"}
    assert len(blocks()) == GUIDE.read_text().count("\n```") // 2


@pytest.mark.parametrize("excerpt", EXCERPTS, ids=lambda block: block.role)
def test_an_excerpt_stands_in_the_example_word_for_word(excerpt: Block) -> None:
    source = (EXAMPLE / excerpt.role.removeprefix("from ")).read_text()

    for part in excerpt.text.split("…\n"):
        assert part in source


def test_following_the_guide_leads_to_an_installed_and_tested_plugin(
    tmp_path: Path, storage_variables: Mapping[str, str]
) -> None:
    environment = create_environment(tmp_path / "venv")
    plugin = tmp_path / "plugin"
    plugin.mkdir()
    directories = {"plugin": plugin, "subtext": ROOT}
    printed = ""
    for block in blocks():
        verb, _, rest = block.role.partition(" ")
        if verb == "file":
            (plugin / rest).write_text(block.text)
        elif verb == "run":
            result = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", block.text],
                cwd=directories[rest.removeprefix("in ")],
                env=environment.variables({"SUBTEXT": str(ROOT), **storage_variables}),
                capture_output=True,
                text=True,
                timeout=PATIENCE,
                check=False,
            )
            assert result.returncode == 0, f"{block.text}\n{result.stdout}\n{result.stderr}"
            printed = result.stdout
        elif verb == "output":
            assert printed == block.text

    assert "2 passed" in printed


def test_every_fixture_and_name_that_the_guide_promises_is_there() -> None:
    import core
    import core.testing

    promised = set(
        re.findall(r"^\| `(\w+)", GUIDE.read_text().split("## Testing")[1], re.MULTILINE)
    )
    assert promised
    assert all(hasattr(core.testing, name) for name in promised | {"BOTH", "bearer", "drain"})
    assert {"VERSION", "now", "once", "transaction", "enqueue", "setting"} <= set(core.__all__)
