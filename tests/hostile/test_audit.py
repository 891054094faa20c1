"""`make audit` fails for what is known to be vulnerable, and says so when nobody could be asked."""

from __future__ import annotations

import importlib.util
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[2] / ".ci/audit.py"
FOUND = {
    "name": "flask",
    "version": "0.5",
    "vulns": [{"id": "PYSEC-1", "aliases": ["CVE-1"], "fix_versions": ["1.0"]}],
}
CLEAN = {"name": "flask", "version": "3.1.3", "vulns": []}
SKIPPED = {"name": "flask", "skip_reason": "Dependency not found on PyPI: flask"}
NO_ANSWER = "requests.exceptions.ConnectionError: Failed to resolve the host"


@pytest.fixture
def audit() -> Any:
    specification = importlib.util.spec_from_file_location("audit", SCRIPT)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def answer_with(audit: Any, monkeypatch: pytest.MonkeyPatch, said: str, error: str = "") -> None:
    def run(*module: str) -> subprocess.CompletedProcess[str]:
        out = "flask==3.1.3\n" if module[0] == "pip" else said
        return subprocess.CompletedProcess(module, 0, out, error)

    monkeypatch.setattr(audit, "_run", run)


@pytest.mark.parametrize(
    "case",
    [
        (FOUND, 1, "flask 0.5: PYSEC-1, mended in 1.0"),
        (CLEAN, 0, "1 packages, 0 findings"),
        (SKIPPED, 0, "NOT DONE, "),
    ],
)
def test_a_finding_fails_and_a_service_that_knows_nothing_does_not(
    audit: Any,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    case: tuple[dict[str, Any], int, str],
) -> None:
    found, status, line = case
    answer_with(audit, monkeypatch, json.dumps({"dependencies": [found]}))
    assert audit.main() == status
    assert line in capsys.readouterr().out


@pytest.mark.parametrize("name", ["PYSEC-1", "CVE-1"])
def test_a_finding_that_is_excepted_by_any_of_its_names_does_not_fail(
    audit: Any, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    answer_with(audit, monkeypatch, json.dumps({"dependencies": [FOUND]}))
    audit.EXCEPTIONS[name] = "does not concern us"
    assert audit.main() == 0


def test_without_a_network_it_says_so_in_one_line_and_goes_on(
    audit: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answer_with(audit, monkeypatch, "", f"Traceback\n{NO_ANSWER}")
    assert audit.main() == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("audit: NOT DONE, ")
    assert NO_ANSWER in line


def test_an_audit_that_breaks_otherwise_fails(audit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    answer_with(audit, monkeypatch, "", "usage: pip-audit: unknown option")
    with pytest.raises(SystemExit, match="unknown option"):
        audit.main()
