"""What the kernel sees of an analysis: it reads what it is given and what it is made of, and nothing else."""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
import sys
import sysconfig
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from plugins.stream.analysis.child import AnalysisChild
from plugins.stream.analysis.errors import AnalysisError
from plugins.stream.analysis.models import FACE_LANDMARKER, is_installed
from tests.hostile.media import good, hostile

if TYPE_CHECKING:
    from collections.abc import Iterator

STRACE = shutil.which("strace")
pytestmark = [
    pytest.mark.skipif(STRACE is None, reason="strace is not installed: apt-get install strace"),
    pytest.mark.skipif(
        not is_installed(FACE_LANDMARKER), reason=f"no face model: {FACE_LANDMARKER.install}"
    ),
]
#: Seconds for one medium; strace makes system calls slow.
DEADLINE = 120.0
#: Of how many media one is tried in the short run.
SPARSE = 4
#: What a program is made of: it may be read, and looked for.
ITS_OWN = tuple(
    str(path.resolve())
    for path in (
        Path(sys.prefix),
        Path(sys.base_prefix),
        Path(sysconfig.get_path("stdlib")),
        Path(sysconfig.get_path("purelib")),
        Path(__file__).parents[2] / "core",
        Path(__file__).parents[2] / "plugins",
    )
)
#: What the C library and numeric libraries ask of a machine: its cores, its memory, where libraries are.
MACHINE = re.compile(
    r"/(?:proc/(?:self|\d+)/(?:statm|maps|status|cgroup|mountinfo|task/\d+/\w+)|proc/(?:cpuinfo|meminfo|stat)"
    r"|sys/devices/system/(?:cpu|node)\b.*|sys/fs/cgroup/.*|etc/(?:ld\.so\.cache|localtime)"
    r"|usr/lib/.*|lib(?:64)?/.*|dev/(?:null|urandom))"
)
#: System calls that make a connection, a process, or a change of files.
FORBIDDEN = re.compile(
    r"socket|socketpair|connect|bind|listen|accept4?|io_uring_setup|execve(?:at)?|fork|vfork"
    r"|creat|unlink(?:at)?|rename(?:at2?)?|mkdir(?:at)?|rmdir|link(?:at)?|symlink(?:at)?|mknod(?:at)?"
    r"|truncate|ch(?:mod|own)|fch(?:mod|own)at|lchown|mount|umount2?|chroot|utimensat|setxattr|memfd_create"
)
CALL = re.compile(r"^\d+ +(?:<\.\.\. )?(\w+)(?: resumed>)?\((.*)$")
QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')


@contextlib.contextmanager
def traced(child: AnalysisChild, log: Path) -> Iterator[None]:
    """Write the system calls of a child that is ready to a file, all its threads' and processes' alike."""
    assert STRACE is not None
    calls = "%network,%file,%process,io_uring_setup,memfd_create"
    tracer = subprocess.Popen(
        [STRACE, "-f", "-s", "4096", "-e", f"trace={calls}", "-o", str(log), "-p", str(child.pid)],
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert tracer.stderr is not None
        said = tracer.stderr.readline()
        if "attached" not in said:
            pytest.skip(f"processes may not be traced here: {said.strip()}")
        yield
        # The last calls are on their way to the file.
        time.sleep(0.2)
    finally:
        tracer.terminate()
        tracer.wait(30)
        assert tracer.stderr is not None
        tracer.stderr.close()


def intrusions(log: Path, given: Path) -> list[str]:
    """Return the calls that reached out of the process, its own files and the medium it was given."""
    found = []
    for line in log.read_text(errors="replace").splitlines():
        if (parsed := CALL.match(line)) is None:
            continue
        name, rest = parsed.groups()
        process = name in {"clone", "clone3"} and "CLONE_THREAD" not in rest and "{flags" in rest
        message = name in {"sendto", "sendmsg"} and "sa_family" in rest
        if FORBIDDEN.fullmatch(name) or process or message:
            found.append(line)
        elif (path := QUOTED.search(rest)) and name not in {"sendto", "recvfrom", "sendmsg"}:
            if name.startswith("open") and re.search(r"O_(?:WRONLY|RDWR|CREAT|TRUNC)", rest):
                allowed = path[1] == "/dev/null"
            else:
                # No path is what is open already, as of fstat().
                allowed = (
                    path[1].startswith((*ITS_OWN, str(given)))
                    or MACHINE.fullmatch(path[1]) is not None
                    or not path[1]
                )
            if not allowed:
                found.append(line)
    return found


@pytest.mark.parametrize("every", [SPARSE, pytest.param(1, marks=pytest.mark.soak)])
def test_an_analysis_opens_nothing_but_its_medium_and_calls_nobody(
    tmp_path: Path, every: int
) -> None:
    secret = tmp_path / "secret" / "private.mp4"
    secret.parent.mkdir()
    secret.write_bytes(next(iter(good().values())))
    given = tmp_path / "given" / "medium"
    given.parent.mkdir()
    log = tmp_path / "trace"
    seen, refused = 0, 0
    media = [*good().values(), *hostile(secret)][::every]
    with AnalysisChild(options={"words": False}) as child:
        child.start()
        with traced(child, log):
            for number, data in enumerate(media):
                given.write_bytes(data)
                try:
                    # By turns as a file and as bytes, as uploads and streams come.
                    child.analyze(given if number % 2 else data, DEADLINE)
                    seen += 1
                except AnalysisError:
                    refused += 1
    assert seen >= len(good()) // every
    assert refused > len(media) // 2
    assert "given/medium" in log.read_text(errors="replace"), "the trace shows what is read"
    assert intrusions(log, given) == []


INTRUDER = """
import socket, subprocess, pathlib
from plugins.stream.analysis.errors import Unreadable

class Intruder:
    def observe(self, data, *, start=None, progress=None):
        exec(data.decode())
        raise Unreadable("done")
"""


@pytest.mark.parametrize(
    "deed",
    [
        "socket.socket(socket.AF_INET)",
        "socket.socketpair()",
        "subprocess.run(['true'])",
        "pathlib.Path('/etc/passwd').read_bytes()",
        "pathlib.Path('/nowhere').exists()",
        "pathlib.Path(__file__).with_name('written').write_bytes(b'')",
        "pathlib.Path('/dev/full').open('wb')",
    ],
)
def test_the_trace_would_show_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, deed: str
) -> None:
    (tmp_path / "intruder.py").write_text(INTRUDER)
    monkeypatch.syspath_prepend(tmp_path)
    given, log = tmp_path / "given", tmp_path / "trace"
    with AnalysisChild("intruder:Intruder") as child:
        child.start()
        with traced(child, log), contextlib.suppress(AnalysisError):
            child.analyze(deed.encode(), 10)
    assert intrusions(log, given)
