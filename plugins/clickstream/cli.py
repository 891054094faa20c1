"""Commands below `flask clickstream`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar

import click
import orjson
from flask.cli import with_appcontext

from core import find_account
from plugins.clickstream import moments
from plugins.clickstream.analytics import Selection, exporters, measure
from plugins.clickstream.imports import Import, read_log, store_searches
from plugins.clickstream.metrics import DEFAULT_K

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from click._termui_impl import ProgressBar

T = TypeVar("T")


class Moment(click.ParamType[int]):
    """Take ISO 8601, seconds or milliseconds as microseconds UTC."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the microseconds, or fail with what was wrong."""
        try:
            if value.isascii() and value.isdecimal():
                return moments.from_number(int(value))
            return moments.from_text(value)
        except (ValueError, OverflowError) as error:
            self.fail(f"{value!r} is no time: {error}", param, ctx)


def _selecting(command: Callable[..., None]) -> Callable[..., None]:
    for option in (
        click.option("--filter-field", help="Only searches whose payload filter looks at this."),
        click.option("--user", "user_id", help="Only searches of this user."),
        click.option("--query", help="Only searches for exactly this query."),
        click.option("--to", "end", type=Moment(), help="Only searches before this time."),
        click.option("--from", "start", type=Moment(), help="Only searches from this time on."),
        click.option("--account", required=True, help="The account's tenant name."),
    ):
        command = option(command)
    return command


def add_commands(cli: click.Group) -> None:
    """Add the commands to the plugin's group."""
    for command in (metrics, export, list_exports, import_ubi_command):
        cli.add_command(command)


@click.command("metrics")
@click.option("--k", default=DEFAULT_K, show_default=True, type=click.IntRange(1, 1_000))
@_selecting
@with_appcontext
def metrics(k: int, account: str, **selection: Any) -> None:
    """Print the search metrics of an account as JSON."""
    report = measure(Selection(find_account(account).id, **selection), k)
    click.echo(orjson.dumps(report, option=orjson.OPT_INDENT_2))


@click.command("export")
@click.argument("name")
@click.option(
    "--output", "-o", type=click.File("wb", lazy=True), default="-", help="A file; default: stdout."
)
@click.option("--improvement", is_flag=True, help="Only sessions chosen for improvement.")
@_selecting
@with_appcontext
def export(name: str, output: BinaryIO, account: str, **selection: Any) -> None:
    """Write an export (`flask clickstream exports` lists them)."""
    known = exporters()
    if name not in known:
        raise click.BadParameter(f"there is no export {name}; there are {', '.join(known)}")
    output.writelines(known[name].write(Selection(find_account(account).id, **selection)))


@click.command("exports")
@with_appcontext
def list_exports() -> None:
    """List the exports."""
    for name, exporter in exporters().items():
        click.echo(f"{name}\t{exporter.media_type}\t{exporter.description}")


@click.command("import-ubi")
@click.argument("file", type=click.File("rb"))
@click.option("--account", required=True, help="The account's tenant name.")
@with_appcontext
def import_ubi_command(file: BinaryIO, account: str) -> None:
    """Import a UBI log: OpenSearch bulk NDJSON or plain NDJSON; `-` reads stdin. Twice changes nothing.

    A query_id's lines should be in one file: what was shown is worked out from all of them.
    """
    account_id = find_account(account).id
    report = Import()
    with _bar(file.readlines(), "reading") as lines:
        searches = list(read_log(lines, report))
    with _bar(searches, "storing") as bar:
        for stored in store_searches(account_id, searches, report):
            bar.update(stored)
    click.echo(orjson.dumps(report.as_dict(), option=orjson.OPT_INDENT_2))


def _bar(items: list[T], label: str) -> AbstractContextManager[ProgressBar[T]]:
    return click.progressbar(items, label=label, file=sys.stderr, hidden=not sys.stderr.isatty())
