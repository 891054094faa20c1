"""The command line: `flask vitals …`."""

from __future__ import annotations

import click

from core import find_account
from subtext_plugin_vitals import services


def add_commands(cli: click.Group) -> None:
    """Add the plugin's commands to its group."""

    @cli.command("pages")
    @click.option("--tenant", required=True, help="The account's tenant name.")
    @click.option("--days", default=7, show_default=True, type=click.IntRange(1, services.MAX_DAYS))
    def pages(tenant: str, days: int) -> None:
        """List the pages of the last days at the 75th percentile, worst first."""
        account = find_account(tenant)
        for page in services.summarise_pages(account.id, days):
            value = f"{page['p75']:g} {page['unit']}".strip()
            click.echo(
                f"{page['rating']}\t{page['metric']}\t{value}\t{page['views']}\t{page['page']}"
            )

    @cli.command("prune")
    def prune() -> None:
        """Remove measurements that are older than SUBTEXT_VITALS_KEEP_DAYS."""
        click.echo(f"removed {services.prune()}")
