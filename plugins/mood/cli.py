"""The commands `flask mood …`."""

from __future__ import annotations

from typing import Any

import click
import orjson
from flask.cli import with_appcontext

from core import find_account
from plugins.mood import services
from plugins.mood.account_settings import change_settings, describe_settings
from plugins.mood.problems import InvalidValue
from plugins.mood.rules import THRESHOLDS


def add_commands(cli: click.Group) -> None:
    """Add the plugin's commands to its group."""
    cli.add_command(recompute)
    cli.add_command(settings)


@click.command()
@click.option("--account", "tenant", help="Only the sessions of this account (tenant name).")
@with_appcontext
def recompute(tenant: str | None) -> None:
    """Compute the moods of all stored sessions anew."""
    account_id = find_account(tenant).id if tenant else None
    click.echo(f"recomputed {services.recompute_all(account_id)} sessions")


@click.command()
@click.argument("tenant")
@click.option(
    "--set",
    "changes",
    multiple=True,
    metavar="NAME=VALUE",
    help="A threshold, the weight of a modality, or adaptive; an empty value is the default.",
)
@with_appcontext
def settings(tenant: str, changes: tuple[str, ...]) -> None:
    """Show the settings of an account, after changing what --set names."""
    account_id = find_account(tenant).id
    if changes:
        try:
            change_settings(account_id, _parse(changes))
        except InvalidValue as error:
            reason = f"{error.extra['field']}: {error.extra['message']}"
            raise click.BadParameter(reason, param_hint="--set") from error
    shown = describe_settings(account_id)
    click.echo(orjson.dumps(shown, option=orjson.OPT_INDENT_2).decode())


def _parse(changes: tuple[str, ...]) -> dict[str, Any]:
    wanted: dict[str, Any] = {"thresholds": {}, "modality_weights": {}}
    for change in changes:
        name, separator, text = change.partition("=")
        if not separator:
            raise click.BadParameter(f"{change!r} is not NAME=VALUE", param_hint="--set")
        try:
            value = orjson.loads(text) if text else None
        except orjson.JSONDecodeError as error:
            message = f"{text!r} is neither a number nor true or false"
            raise click.BadParameter(message, param_hint="--set") from error
        if name == "adaptive":
            wanted[name] = value
        else:
            wanted["thresholds" if name in THRESHOLDS else "modality_weights"][name] = value
    return wanted
