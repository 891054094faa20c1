# ruff: noqa: INP001, T201 (a script: it stands alone and prints)
"""Ask which installed packages have known vulnerabilities: `make audit`.

What is asked about is what the requirements files install here, with everything that comes along, and the packages of
requirements-asr.txt. A finding fails, unless it is excepted below. Where the service cannot be reached, or does not
know packages by their versions as some mirrors do, one line says that nothing was audited, and that is no failure.
Insecure code is no matter of this: ruff's rules S are bandit's, and each exception has its reason where it is made.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
#: Findings that do not concern Subtext, by their id, each with the reason why.
EXCEPTIONS: dict[str, str] = {}
#: Files whose packages are asked about without being installed.
OPTIONAL = ("requirements-asr.txt",)
#: A package that every index knows: who does not answer for it answers for none.
PROBE = "flask"
#: Seconds for one question, and for all of them.
QUESTION_SECONDS = 15
SECONDS = 600


class Unreachable(Exception):
    """The service that knows vulnerabilities gives no answer."""


def main() -> int:
    """Audit and print what was found; 1 when there are findings."""
    installed = _run("pip", "freeze").stdout.splitlines()
    optional = [
        line
        for name in OPTIONAL
        for line in (ROOT / name).read_text("utf-8").splitlines()
        if "==" in line and not line.startswith("#")
    ]
    pins = sorted({line for line in [*installed, *optional] if "==" in line})
    try:
        _ask([pin for pin in pins if pin.lower().startswith(f"{PROBE}==")])
        answers = _ask(pins)
    except Unreachable as error:
        print(f"audit: NOT DONE, {len(pins)} packages were not looked at: {error}")
        return 0
    return _report(answers)


def _ask(pins: list[str]) -> list[dict[str, Any]]:
    """Return what is known of pinned packages; Unreachable when nothing is known of any."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as file:
        file.write("\n".join(pins))
        file.flush()
        options = f"--format json --progress-spinner off --no-deps --disable-pip --timeout {QUESTION_SECONDS}"
        done = _run("pip_audit", *options.split(), "--requirement", file.name)
    try:
        answers: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except ValueError:
        last = (done.stderr.strip().splitlines() or ["pip-audit said nothing"])[-1]
        if "onnect" not in last and "imed out" not in last:
            raise SystemExit(done.stderr) from None
        raise Unreachable(last) from None
    if all("skip_reason" in answer for answer in answers):
        raise Unreachable(answers[0]["skip_reason"] if answers else "no package is installed")
    return answers


def _report(answers: list[dict[str, Any]]) -> int:
    """Print what is wrong with which package and return how the process ends."""
    findings = [
        (answer["name"], answer["version"], found)
        for answer in answers
        for found in answer.get("vulns", ())
        if not EXCEPTIONS.keys() & {found["id"], *found.get("aliases", ())}
    ]
    for name, version, found in findings:
        mended = ", ".join(found.get("fix_versions", ())) or "no version yet"
        print(f"audit: {name} {version}: {found['id']}, mended in {mended}")
    for answer in answers:
        if "skip_reason" in answer:
            print(f"audit: not looked at: {answer['skip_reason']}")
    print(f"audit: {len(answers)} packages, {len(findings)} findings")
    return 1 if findings else 0


def _run(*module: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - this Python and our own arguments
        [sys.executable, "-m", *module],
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )


if __name__ == "__main__":
    sys.exit(main())
