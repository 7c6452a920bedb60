"""Dead letters and reconciling from the command line: look, have them tried again, have all compared."""

import json
import sys
import time
from collections.abc import Sequence

import click

from gateway.ctl import client_of, command_of, ctl, reason_option, wave_option
from gateway.ctl_change import DEGRADED, choose
from gateway.ctl_client import Client, Document, ProblemError
from gateway.ctl_text import letters_text, sweep_text

__all__ = ["ctl"]

WAIT_S_MAX = 600.0
LOOK_EVERY_S = 0.5


@ctl.group("dead-letters")
def dead_letters() -> None:
    """Look at what the store refused for good, or have it tried again."""


@command_of(wave_option, name="list", of=dead_letters)
def list_letters(*, wave_id: str | None, as_json: bool) -> None:
    """Show the oldest dead letters, with their reasons."""
    letters = client_of().dead_letters(wave_id)
    click.echo(json.dumps({"dead_letters": letters}) if as_json else letters_text(letters))


@command_of(
    wave_option,
    reason_option,
    click.option("--all", "every", is_flag=True, help="All of the wave."),
    click.argument("ids", metavar="ID...", nargs=-1),
    name="retry",
    of=dead_letters,
)
def retry(
    *, ids: Sequence[str], every: bool, wave_id: str | None, reason: str, as_json: bool
) -> None:
    """Have dead letters tried again: those named, or --all of a wave."""
    if bool(ids) == every:
        raise click.UsageError("name the dead letters to retry, or say --all")
    client = client_of()
    wave = choose(client.status(), wave_id)["wave"]
    answer = client.retry(wave, ids, reason=reason)
    total = answer["retried"]
    while every and answer["retried"] and answer["left"]:  # a few hundred a call
        answer = client.retry(wave, ids, reason=reason)
        total += answer["retried"]
    answer["retried"] = total
    told = f"{wave}: {total:,} tried again, {answer['left']:,} left"
    click.echo(json.dumps(answer) if as_json else told)


@command_of(wave_option, reason_option)
def reconcile(*, wave_id: str | None, reason: str, as_json: bool) -> None:
    """Compare every receipt with the store now; exit code 3 where some are missing."""
    client = client_of()
    wave = choose(client.status(), wave_id)
    asked = client.reconcile(wave["wave"], reason=reason)
    sweep = _wait(client, wave, asked)
    click.echo(json.dumps(sweep) if as_json else sweep_text(wave["programme"], sweep))
    if sweep["lost"]:
        sys.exit(DEGRADED)


def _wait(client: Client, wave: Document, asked: int) -> Document:
    """Wait until a delivery has done it.

    Raises:
        ProblemError: none has, for long.

    """
    deadline_s = time.monotonic() + WAIT_S_MAX
    while time.monotonic() < deadline_s:
        for row in client.status()["deliveries"]:
            sweep: Document = row["reconciler"]["sweeps"][wave["programme"]]
            if sweep["asked"].get(wave["wave"], 0) >= asked:
                return sweep
        time.sleep(LOOK_EVERY_S)
    raise ProblemError("no delivery has compared the receipts: does `gateway deliver` run?")
