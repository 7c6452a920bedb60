"""Who may operate? Credentials made and revoked where the secrets are, never over the network.

The credential goes into a new file of its own, mode 0400, and nowhere else: only its digest is kept. Who is
taken out of the list is let in nowhere within a second.
"""

import os
from datetime import UTC, datetime
from pathlib import Path

import click

from gateway.cli import config_option
from gateway.core.credentials import LIFE_S_MAX, ROLES
from gateway.operators import add_operator, listed, revoke_operator
from gateway.settings import load_settings

DAY_S = 86_400


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def operators() -> None:
    """Make, list and revoke operators' credentials."""


def _directory(config: Path) -> Path:
    return Path(load_settings(config, os.environ).secrets.dir)


@operators.command()
@config_option
@click.option("--role", type=click.Choice(list(ROLES)), required=True)
@click.option(
    "--days",
    type=click.IntRange(1, LIFE_S_MAX // DAY_S),
    default=LIFE_S_MAX // DAY_S,
    show_default=True,
)
@click.argument("operator_id", metavar="ID")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
def add(config: Path, role: str, days: int, operator_id: str, file: Path) -> None:
    """Make a credential for ID, and write it into a new FILE for them to take away."""
    operator = add_operator(_directory(config), operator_id, ROLES[role], days * DAY_S, file)
    until = datetime.fromtimestamp(operator.expires_at_us / 1e6, UTC)
    click.echo(
        f"{operator_id} is {role} until {until:%Y-%m-%d %H:%M} UTC; the credential is in {file}",
        err=True,
    )


@operators.command()
@config_option
@click.argument("operator_id", metavar="ID")
def revoke(config: Path, operator_id: str) -> None:
    """Let ID in no longer; every process knows within a second."""
    revoke_operator(_directory(config), operator_id)
    click.echo(f"{operator_id} is let in no longer", err=True)


@operators.command("list")
@config_option
def list_(config: Path) -> None:
    """Show who has a credential, with which role, and until when."""
    for operator in listed(_directory(config)):
        until = datetime.fromtimestamp(operator.expires_at_us / 1e6, UTC)
        click.echo(
            f"{operator.id:<33} {operator.role.name.lower():<9} until {until:%Y-%m-%d %H:%M} UTC"
        )
