"""Dead letters and reconciling from the command line: look, have them tried again, have all compared."""

import sys
import time
from collections.abc import Sequence

import click

from gateway.ctl_change import DEGRADED, choose
from gateway.ctl_client import Client, Document, ProblemError
from gateway.ctl_group import client_of, command_of, ctl, reason_option, show, wave_option
from gateway.ctl_text import letters_text, sweep_text

WAIT_S_MAX = 600.0
LOOK_EVERY_S = 0.5


@ctl.group("dead-letters")
def dead_letters() -> None:
    """Look at what the store refused for good, or have it tried again."""


@command_of(wave_option, name="list", of=dead_letters)
def list_letters(*, wave_id: str | None, output: str | None) -> None:
    """Show the oldest dead letters, with their reasons."""
    letters = client_of().dead_letters(wave_id)
    show(output, {"dead_letters": letters}, letters, lambda: letters_text(letters))


@command_of(
    wave_option,
    reason_option,
    click.option("--all", "every", is_flag=True, help="All of the wave."),
    click.argument("ids", metavar="ID...", nargs=-1),
    name="retry",
    of=dead_letters,
)
def retry(
    *, ids: Sequence[str], every: bool, wave_id: str | None, reason: str, output: str | None
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
    show(output, answer, [answer], lambda: told)


@command_of(wave_option, reason_option)
def reconcile(*, wave_id: str | None, reason: str, output: str | None) -> None:
    """Compare every receipt with the store now; exit code 3 where some are missing."""
    client = client_of()
    wave = choose(client.status(), wave_id)
    asked = client.reconcile(wave["wave"], reason=reason)
    sweep = _wait(client, wave, asked)
    show(output, sweep, [sweep], lambda: sweep_text(wave["programme"], sweep))
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
