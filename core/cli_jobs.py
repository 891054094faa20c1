"""`flask jobs …`: what waits, what is parked, and what to do with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import orjson
from flask.cli import AppGroup
from redis import RedisError

from core import evidence
from core.runtime import current

if TYPE_CHECKING:
    from core.queues import Queues, Sent

STATES = ("queued", "scheduled", "parked")


class QueueGroup(AppGroup):
    """A group whose commands say in one line that Redis is away."""

    def invoke(self, ctx: click.Context) -> object:
        """Run a command; errors of Redis become usage errors."""
        try:
            return super().invoke(ctx)
        except RedisError as error:
            raise click.ClickException(f"Redis is away: {error}") from error


jobs_cli = QueueGroup("jobs", help="Look at background work.")


@jobs_cli.command("list")
@click.option("--state", type=click.Choice(STATES), help="Only these; all when left out.")
@click.option("--limit", type=click.IntRange(min=1), default=100, show_default=True)
def list_jobs(state: str | None, limit: int) -> None:
    """List jobs that wait, wait for their time, or failed for good: id, state, age, name."""
    queues = _queues()
    for shown, sent in enumerate(queues.list(state or "", errors=True)):
        if shown == limit:
            click.echo(f"and more; {queues.parked_count()} are parked", err=True)
            return
        click.echo(
            "\t".join(
                (
                    sent.id,
                    sent.state,
                    f"{sent.created_at:%Y-%m-%dT%H:%M:%SZ}",
                    sent.queue,
                    sent.name,
                    orjson.dumps(sent.kwargs).decode(),
                    _last_line(sent.error),
                )
            ).rstrip()
        )
    lengths = " ".join(
        f"{name}={length}" for name, length in queues.lengths(current().jobs.queue_names()).items()
    )
    click.echo(f"{queues.worker_count()} workers; waiting: {lengths or 'nothing'}", err=True)


@jobs_cli.command("show")
@click.argument("job_id")
def show(job_id: str) -> None:
    """Show one job, with the whole error when it is parked."""
    sent = _find(job_id)
    click.echo(f"id       {sent.id}")
    click.echo(f"name     {sent.name}")
    click.echo(f"state    {sent.state}")
    click.echo(f"queue    {sent.queue}")
    click.echo(f"created  {sent.created_at:%Y-%m-%dT%H:%M:%SZ}")
    click.echo(f"with     {orjson.dumps(sent.kwargs).decode()}")
    if sent.error:
        click.echo(f"\n{sent.error.rstrip()}")


@jobs_cli.command("retry")
@click.argument("job_ids", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All parked jobs.")
def retry(job_ids: tuple[str, ...], *, everything: bool) -> None:
    """Put parked jobs back on their queues, with all their tries again."""
    queues, jobs = _queues(), current().jobs
    _one_or_the_other(job_ids, everything=everything)
    parked = [sent.id for sent in queues.list("parked")] if everything else list(job_ids)
    for job_id in parked:
        sent = _find(job_id)
        if sent.name not in jobs:
            raise click.ClickException(
                f"{job_id}: no job is named {sent.name}: is its plugin loaded?"
            )
        if not queues.retry(job_id, tries=jobs[sent.name].retry):
            raise click.ClickException(f"{job_id} is not parked")
        click.echo(f"queued {job_id}")


@jobs_cli.command("drop")
@click.argument("job_ids", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All parked jobs; waiting ones stay.")
def drop(job_ids: tuple[str, ...], *, everything: bool) -> None:
    """Remove jobs that wait or are parked; a running one is left to its end."""
    queues = _queues()
    _one_or_the_other(job_ids, everything=everything)
    if everything:
        click.echo(f"dropped {queues.drop(lambda _sent: True, 'parked')}")
        return
    doomed = {_find(job_id).id for job_id in job_ids}
    click.echo(f"dropped {queues.drop(lambda sent: sent.id in doomed)}")


@jobs_cli.command("outbox")
def outbox() -> None:
    """Show how much evidence waits to be told, and list what was given up on."""
    for row, source, attempts, error in evidence.parked_rows():
        click.echo(f"{row}\t{source}\t{attempts} tries\t{error}")
    click.echo(f"{evidence.outbox_length()} in the outbox", err=True)


@jobs_cli.command("retry-outbox")
def retry_outbox() -> None:
    """Tell again what was given up on."""
    click.echo(f"due again: {evidence.retry_parked()}")


def _queues() -> Queues:
    queues = current().jobs.queues
    if queues is None:
        raise click.ClickException("REDIS_URL is not set: there are no queues")
    return queues


def _find(job_id: str) -> Sent:
    sent = _queues().find(job_id)
    if sent is None:
        raise click.ClickException(f"there is no job {job_id}")
    return sent


def _one_or_the_other(job_ids: tuple[str, ...], *, everything: bool) -> None:
    if everything == bool(job_ids):
        raise click.UsageError("give the ids of jobs, or --all for all that are parked")


def _last_line(error: str) -> str:
    return error.strip().rpartition("\n")[2]
