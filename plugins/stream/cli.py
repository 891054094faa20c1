"""The command `flask stream analyze`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
import orjson
from flask.cli import with_appcontext
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from core import ConfigurationError
from plugins.stream.analysis.decode import probe
from plugins.stream.analysis.errors import AnalysisError, ModelsMissing
from plugins.stream.analyzers import build_analyst, build_interpreter
from plugins.stream.faults import MIN_SECONDS
from plugins.stream.plot import draw_timeline
from plugins.stream.protocol import INCLUDES

if TYPE_CHECKING:
    from plugins.stream.analysis.observations import Observations

SHORT_INCLUDES = {"overall": INCLUDES[0], "timeline": INCLUDES[1]}


def add_commands(cli: click.Group) -> None:
    """Add the plugin's command to its group."""
    cli.add_command(analyze)


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--include",
    "includes",
    multiple=True,
    type=click.Choice([*SHORT_INCLUDES, *INCLUDES]),
    help="Report the quality of the conversation, too.",
)
@click.option(
    "--plot",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Draw signals, engagement and quality over time into a PNG file.",
)
@with_appcontext
def analyze(file: Path, includes: tuple[str, ...], plot: Path | None) -> None:
    """Analyse a video FILE here and print what is found, as JSON; needs no server."""
    try:
        observations = _observe(file)
    except AnalysisError as error:
        raise click.ClickException(f"{file}: {error.message} ({error.code})") from error
    except (ModelsMissing, ConfigurationError) as error:
        raise click.ClickException(str(error)) from error
    if observations.duration < MIN_SECONDS:
        click.echo(f"less than {MIN_SECONDS:g} s of video say little", err=True)
    wanted = frozenset(SHORT_INCLUDES.get(name, name) for name in includes)
    interpreter = build_interpreter(wanted)
    interpreter.feed(0.0, observations)
    interpreter.finish()
    result = interpreter.result()
    click.echo(orjson.dumps(result.data(wanted), option=orjson.OPT_INDENT_2).decode())
    if plot is not None:
        try:
            draw_timeline(result, plot)
        except OSError as error:
            raise click.ClickException(f"{plot}: {error.strerror or error}") from error


def _observe(file: Path) -> Observations:
    data = file.read_bytes()
    seconds = probe(data).duration
    analyst = build_analyst()
    try:
        with _progress(file.name) as progress:
            task = progress.add_task(file.name, total=1.0)

            def advance(share: float) -> None:
                progress.update(task, completed=share)

            return analyst.analyze(data, seconds, progress=advance)
    finally:
        analyst.close()


def _progress(name: str) -> Progress:
    from rich.console import Console

    columns = (TextColumn(name, markup=False), BarColumn(), TimeElapsedColumn())
    return Progress(*columns, console=Console(stderr=True), transient=True)
