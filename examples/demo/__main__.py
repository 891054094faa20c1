"""`python -m examples.demo`: start everything, replay simulated visitors, say what came out.

With ONESHOT=1 it ends by itself: status 0, or 1 when something is not as it must be.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from core.processes import Tree, TreeError
from examples.demo import replay, report
from examples.demo.visitors import ARRIVAL, simulate

if TYPE_CHECKING:
    from collections.abc import Iterator

VISITORS = 120
LONGEST_VISIT = 20 * 60 * 1_000_000  # µs; so long before now the last visitor arrives
#: The demo is the same wherever it runs, whatever the shell has set.
ENVIRONMENT = {
    "DATABASE_URL": "",
    "REDIS_URL": "",
    "SUBTEXT_LOG_LEVEL": "WARNING",
    "SUBTEXT_METRICS_TOKEN": "",
    "SUBTEXT_SELF_SERVICE_KEYS": "1",
}


def main() -> int:
    """Run the demo and return the exit status."""
    options = _read_options()
    console = Console()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with _data(options.data) as data, _running(console, data, options.port) as tree:
            is_fine = _show(console, tree, options)
            if options.oneshot:
                return 0 if is_fine else 1
            threading.Event().wait()
    except KeyboardInterrupt:
        console.print("\nEnded.")
    except (TreeError, replay.ReplayError) as error:
        console.print(f"demo: {error}", style="bold red", markup=False)
        return 1
    return 0


def _show(console: Console, tree: Tree, options: argparse.Namespace) -> bool:
    """Replay, print what came out, and tell whether all is as it must be."""
    start = time.time_ns() // 1000 - options.visitors * ARRIVAL - LONGEST_VISIT
    visitors = list(simulate(options.visitors, seed=options.seed, start=start))
    credentials = replay.sign_up(tree.url)
    with _progress(console) as progress:
        calls = sum(len(visitor.calls) for visitor in visitors)
        task = progress.add_task(f"{len(visitors)} simulated visitors", total=calls)
        outcome = replay.send(tree.url, credentials, visitors, lambda: progress.advance(task))
    with console.status("The workers finish what is left …"):
        replay.settle(tree.url)
    replay.look(tree.url, credentials, visitors, outcome)
    report.print_outcome(console, visitors, outcome)
    console.print("All visitors are simulated; see examples/demo/visitors.py.\n", highlight=False)
    if not options.oneshot:
        report.print_way_on(console, tree.url, credentials, visitors[0])
    return not outcome.mistakes


def _read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m examples.demo", description=__doc__)
    parser.add_argument("--visitors", type=_count, default=VISITORS, help="how many (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the simulation (%(default)s)")
    parser.add_argument("--data", type=Path, help="directory to keep; a temporary one otherwise")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.set_defaults(oneshot=os.environ.get("ONESHOT", "") not in {"", "0"})
    return parser.parse_args()


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


@contextlib.contextmanager
def _data(directory: Path | None) -> Iterator[Path]:
    if directory is not None:
        yield directory
        return
    with tempfile.TemporaryDirectory(prefix="subtext-demo-") as temporary:
        yield Path(temporary)


@contextlib.contextmanager
def _running(console: Console, data: Path, port: int) -> Iterator[Tree]:
    tree = Tree(data, port=port, environment=ENVIRONMENT)
    try:
        with console.status("Web, worker and queue are starting …"):
            tree.start()
        console.print(f"Subtext runs at {tree.url}, its data in {data}", highlight=False)
        yield tree
    finally:
        # A second Ctrl-C must not keep the tree from ending, and it ends soon.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        tree.stop()


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
    )


if __name__ == "__main__":
    sys.exit(main())
