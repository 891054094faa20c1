"""What a platform reads fits what the server reads."""

from __future__ import annotations

import json
import re
from pathlib import Path

from honcho.environ import parse_procfile

from core import settings_page

ROOT = Path(__file__).parents[2]


def test_the_procfile_migrates_serves_and_works() -> None:
    processes = parse_procfile((ROOT / "Procfile").read_text()).processes
    assert list(processes) == ["release", "web", "worker"]


def test_what_the_platform_is_told_to_set_are_settings_with_values_they_can_read() -> None:
    declared = {setting.name: setting for _, group in settings_page.declared() for setting in group}
    for name, entry in json.loads((ROOT / "app.json").read_text())["env"].items():
        assert name in declared
        if "value" in entry:
            declared[name].parse(entry["value"])


def test_gunicorn_is_the_one_that_was_decided_on() -> None:
    pinned = re.search(r"^gunicorn==(\S+)$", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
    assert pinned is not None
    assert pinned[1] == "25.3.0", "read docs/decisions/0001-gunicorn-25.md before moving it"
