"""`python -m workers [QUEUE[=PROCESSES] …]`."""

from __future__ import annotations

import os
import sys

import click

from core.errors import ConfigurationError
from core.logs import configure_logging
from workers.supervisor import Supervisor

SCHEDULER = ["-m", "workers", "--only", "scheduler"]


@click.command()
@click.argument("queues", nargs=-1, metavar="[QUEUE[=PROCESSES]]...")
@click.option(
    "--concurrency",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    envvar="WORKER_CONCURRENCY",
    help="Processes for each queue that does not say how many.",
)
@click.option("--no-scheduler", is_flag=True, help="Leave periodic jobs to another machine.")
@click.option("--burst", is_flag=True, help="Run what waits on one QUEUE in this process, and end.")
@click.option("--only", type=click.Choice(["worker", "scheduler"]), hidden=True)
def main(
    queues: tuple[str, ...],
    *,
    concurrency: int,
    no_scheduler: bool,
    burst: bool,
    only: str | None,
) -> None:
    """Run background jobs: the queue `default`, or those given, each with its own processes."""
    try:
        if only == "scheduler":
            from workers.scheduler import run_scheduler

            run_scheduler()
        elif only == "worker" or burst:
            from workers.worker import run_worker

            run_worker(_single(queues), burst=burst)
        else:
            configure_logging(os.environ.get("SUBTEXT_LOG_LEVEL", "INFO"))
            companions = [] if no_scheduler else [SCHEDULER]
            sys.exit(Supervisor(_commands(queues, concurrency), companions).run())
    except ConfigurationError as error:
        click.echo(f"workers: {error}", err=True)
        sys.exit(os.EX_CONFIG)


def _single(queues: tuple[str, ...]) -> str:
    if len(queues) > 1:
        raise click.UsageError("one queue at a time")
    return queues[0] if queues else "default"


def _commands(queues: tuple[str, ...], concurrency: int) -> list[list[str]]:
    commands = []
    for text in queues or ("default",):
        queue, _, number = text.partition("=")
        if not queue or (
            number and (not number.isascii() or not number.isdigit() or number == "0")
        ):
            raise click.UsageError(f"{text}: write QUEUE or QUEUE=PROCESSES, as in default=2")
        processes = int(number) if number else concurrency
        commands += [["-m", "workers", "--only", "worker", queue]] * processes
    return commands


if __name__ == "__main__":
    main()
