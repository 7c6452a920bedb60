"""The operator's hand: look, and turn the knobs, over the operator's listener and nothing else.

Data go to stdout, talk to stderr. Exit codes: 0 all is well, 1 a problem, 2 refused or misused,
3 degraded, 4 paused, 5 closed, 6 no gateway answers.
"""

import itertools
import json
import sys
import time
from collections.abc import Sequence
from typing import Any

import click

from gateway import ctl_config, ctl_letters, ctl_policy, ctl_wave
from gateway.ctl_change import DEGRADED, choose
from gateway.ctl_client import Client, Document, ProblemError, UnreachableError
from gateway.ctl_group import client_of, command_of, ctl, show, wave_option
from gateway.ctl_records import audit_text, ticket_text
from gateway.ctl_text import status_text

__all__ = ["ctl", "ctl_config", "ctl_letters", "ctl_policy", "ctl_wave"]  # with all their commands

PAUSED, CLOSED = 4, 5
WATCH_EVERY_S = 1.0


@command_of(
    wave_option, click.option("--watch", is_flag=True, help="Again every second, until Ctrl-C.")
)
def status(*, wave_id: str | None, output: str | None, watch: bool) -> None:
    """Show how waves and processes stand; the exit code says it in short."""
    client = client_of()
    if not watch:
        sys.exit(_show_status(client, wave_id, output))
    try:
        while True:
            _watch_once(client, wave_id, output)
            time.sleep(WATCH_EVERY_S)
    except KeyboardInterrupt:
        return


def _watch_once(client: Client, wave_id: str | None, output: str | None) -> None:
    if sys.stdout.isatty() and output is None:
        click.clear()
    try:
        _show_status(client, wave_id, output)
    except (UnreachableError, ProblemError) as error:
        click.echo(error.format_message(), err=True)


def _show_status(client: Client, wave_id: str | None, output: str | None) -> int:
    document = client.status()
    waves = document["waves"] if wave_id is None else [choose(document, wave_id)]
    show(output, document, waves, lambda: status_text(document, waves))
    return _exit_code(document, waves)


def _exit_code(document: Document, waves: Sequence[Document]) -> int:
    if not document["accepting"] or any(wave["stale"] for wave in waves):
        return DEGRADED
    phases = [wave["phase"] for wave in waves if wave["phase"] != "closed"]
    if not phases:
        return CLOSED
    return PAUSED if "paused" in phases else 0


@command_of(
    wave_option,
    click.option("--verify", is_flag=True, help="Check that no record was touched."),
    click.option("--json-lines", is_flag=True, help="All records, wave by wave, one a line."),
)
def audit(*, wave_id: str | None, output: str | None, verify: bool, json_lines: bool) -> None:
    """Show who did or tried what, when and why; with --verify, code 1 where a record was touched."""
    client = client_of()
    if json_lines:
        waves = (
            [wave["wave"] for wave in client.status()["waves"]] if wave_id is None else [wave_id]
        )
        for record in itertools.chain.from_iterable(map(client.every_record, waves)):
            click.echo(json.dumps(record))
    document = client.audit(wave_id, verify=verify) if verify or not json_lines else {}
    if not json_lines:
        show(output, document, document["records"], lambda: audit_text(document["records"]))
    broken = {
        wave: chain["broken_at"]
        for wave, chain in document.get("chains", {}).items()
        if chain["broken_at"]
    }
    for wave, chain in document.get("chains", {}).items():
        told = f"record {broken[wave]} does not follow" if wave in broken else "none was touched"
        click.echo(f"{wave}: {chain['records']} records, {told}", err=True)
    if broken:
        sys.exit(1)


@ctl.group("ticket")
def ticket_group() -> None:
    """Look at one ticket, for somebody who calls the help desk."""


@command_of(wave_option, click.argument("number", type=int), name="show", of=ticket_group)
def show_ticket(*, number: int, wave_id: str | None, output: str | None) -> None:
    """Show how the ticket with this NUMBER stands."""
    client = client_of()
    document: dict[str, Any] = client.ticket(choose(client.status(), wave_id)["wave"], number)
    show(output, document, [document], lambda: ticket_text(document))
