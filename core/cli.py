"""The command line: `flask db | keys | tokens | plugins | jobs`, and `flask <plugin> …` of each plugin."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import peewee
from flask.cli import AppGroup, with_appcontext

from core import accounts, migrations, partitions
from core.cli_jobs import jobs_cli
from core.errors import AppError, ConfigurationError
from core.runtime import current
from core.tokens import DEFAULT_TTL_SECONDS, issue_token

if TYPE_CHECKING:
    from flask import Flask

    from core.runtime import Runtime


class CommandGroup(AppGroup):
    """A group whose commands tell a person what is wrong, without a traceback."""

    def add_command(self, cmd: click.Command, name: str | None = None) -> None:
        """Add a command, which then runs in the app's context however it was made."""
        if cmd.callback is not None:
            cmd.callback = with_appcontext(cmd.callback)
        super().add_command(cmd, name)

    def invoke(self, ctx: click.Context) -> object:
        """Run a command; errors of the core become usage errors."""
        try:
            return super().invoke(ctx)
        except AppError as error:
            raise click.ClickException(error.message) from error
        except ConfigurationError as error:
            raise click.ClickException(str(error)) from error
        except peewee.DatabaseError as error:
            raise click.ClickException(
                f"The database says: {error}. Is it there, and migrated (flask db upgrade)?"
            ) from error


def install(app: Flask, runtime: Runtime) -> None:
    """Add the core's groups and one group for each plugin that has commands."""
    for group in (db_cli, keys_cli, tokens_cli, plugins_cli, jobs_cli):
        app.cli.add_command(group)
    for name in runtime.plugins.implementers("register_commands"):
        group = CommandGroup(name, help=f"Commands of the plugin {name}.")
        runtime.plugins.only(name).register_commands(cli=group)
        app.cli.add_command(group)


db_cli = CommandGroup("db", help="Migrate the database.")


@db_cli.command("upgrade")
def upgrade() -> None:
    """Apply all pending migrations of the core and of every plugin."""
    applied = migrations.upgrade()
    click.echo("\n".join(f"applied {name}" for name in applied) or "nothing to apply")


@db_cli.command("downgrade")
@click.argument("series")
@click.argument("target", required=False)
def downgrade(series: str, target: str | None) -> None:
    """Take back the last migration of a SERIES (`core` or a plugin), or all back through TARGET."""
    for name in migrations.downgrade(series, target):
        click.echo(f"took back {name}")


@db_cli.command("status")
def status() -> None:
    """List all migrations; exits with 1 while one is pending."""
    rows = migrations.status()
    for series, name, applied in rows:
        click.echo(f"{'applied' if applied else 'pending'}  {series}/{name}")
    if not all(applied for *_, applied in rows):
        raise click.exceptions.Exit(1)


@db_cli.command("partition")
@click.option(
    "--partitions",
    "count",
    default=16,
    show_default=True,
    type=click.IntRange(0, partitions.MAX_PARTITIONS),
    help="0 makes tables whole again.",
)
@click.option(
    "--table",
    "tables",
    multiple=True,
    help="Only this table; may be repeated. All that grow with sessions when left out.",
)
def partition(count: int, tables: tuple[str, ...]) -> None:
    """Spread tables over partitions by account or session (PostgreSQL; locks a table while it is copied)."""
    for done in partitions.partition(count, tables):
        if done.key is None:
            click.echo(f"{done.table} stays whole: its key starts with neither account nor session")
            continue
        form = f"{done.partitions} partitions by {done.key}" if done.partitions else "one table"
        took = "as before" if done.seconds is None else f"{done.rows} rows, {done.seconds:.1f} s"
        click.echo(f"{done.table}: {form}, {took}")


keys_cli = CommandGroup("keys", help="Make, list, revoke and rotate API keys.")


@keys_cli.command("create")
@click.option("--name", required=True, help="Name or company of the owner.")
@click.option("--email", help="Contact of the owner.")
@click.option("--plan", default=accounts.DEFAULT_PLAN, show_default=True)
@click.option(
    "--tenant", help="An existing account's tenant name; without it a new account is made."
)
@click.option(
    "--scope", "scopes", multiple=True, help="May be repeated; all but admin when left out."
)
@click.option("--admin", is_flag=True, help="Also give the admin scope.")
def create_key(  # noqa: PLR0913 (one parameter an option)
    name: str,
    email: str | None,
    plan: str,
    tenant: str | None,
    scopes: tuple[str, ...],
    *,
    admin: bool,
) -> None:
    """Make an API key and print it, once."""
    account = (
        accounts.find_account(tenant)
        if tenant
        else accounts.create_account(name, email=email, plan=plan)
    )
    wanted = [*(scopes or accounts.SELF_SERVICE_SCOPES), *(["admin"] if admin else [])]
    click.echo(accounts.issue_key(account.id, wanted))
    click.echo(f"account {account.tenant}; the key is not shown again", err=True)


@keys_cli.command("list")
@click.option("--tenant", help="Only the keys of this account.")
def list_keys(tenant: str | None) -> None:
    """List keys: number, first characters, account, plan, scopes, state."""
    account_id = accounts.find_account(tenant).id if tenant else None
    for key in accounts.list_keys(account_id):
        state = f"revoked {key['revoked_at']}" if key["revoked_at"] else "valid"
        click.echo(
            f"{key['id']}\t{key['prefix']}…\t{key['tenant']}\t{key['plan']}\t{' '.join(key['scopes'])}\t{state}"
        )


@keys_cli.command("revoke")
@click.argument("key_id", type=int)
def revoke_key(key_id: int) -> None:
    """Revoke the key with a number from `list`, at once."""
    accounts.revoke_key(key_id)
    click.echo(f"revoked {key_id}")


@keys_cli.command("rotate")
@click.argument("key_id", type=int)
def rotate_key(key_id: int) -> None:
    """Revoke a key and print a new one with the same account and scopes."""
    click.echo(accounts.rotate_key(key_id))


tokens_cli = CommandGroup("tokens", help="Issue tokens for browsers.")


@tokens_cli.command("issue")
@click.option("--tenant", required=True, help="The account's tenant name.")
@click.option("--session", "session_id", help="The one session the token may write.")
@click.option("--scope", default="ingest", show_default=True)
@click.option(
    "--ttl", "ttl_seconds", default=DEFAULT_TTL_SECONDS, show_default=True, help="Seconds."
)
def issue(tenant: str, session_id: str | None, scope: str, ttl_seconds: int) -> None:
    """Sign a token with SUBTEXT_JWT_SECRET and print it."""
    accounts.find_account(tenant)
    token = issue_token(tenant, session_id=session_id, scope=scope, ttl_seconds=ttl_seconds)
    click.echo(token["token"])
    click.echo(f"expires at {token['expires_at']}", err=True)


plugins_cli = CommandGroup("plugins", help="Show what is loaded.")


@plugins_cli.command("list")
def list_plugins() -> None:
    """List the plugins with where they come from and the hooks they implement."""
    plugins = current().plugins
    for name in plugins.names:
        hooks = sorted(
            hook
            for hook in vars(plugins.manager.hook)
            if not hook.startswith("_") and name in plugins.implementers(hook)
        )
        click.echo(f"{name}\t{plugins.origins[name]}\t{', '.join(hooks)}")
