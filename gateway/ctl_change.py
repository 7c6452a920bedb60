"""How is a policy changed from the command line? Read, change what was read, see it in force everywhere.

A change is made to the revision that was read: if somebody else was faster it is refused, not merged.
"""

import sys
import time
from collections.abc import Callable
from typing import NamedTuple

import click

from gateway.core.policy_change import RUNNING
from gateway.ctl_client import Client, Document, ProblemError, RefusedError
from gateway.ctl_group import show
from gateway.ctl_plan import plan_text
from gateway.ctl_text import changes_text, value_text

DEGRADED = 3  # exit code
CONFIRM_S_MAX = 6.0  # a process that was killed stays in the table for five
CONFIRM_EVERY_S = 0.1

Fields = Callable[[Document], Document]  # the policy in force -> the fields to change


class Confirmed(NamedTuple):
    """How many processes go by a revision."""

    confirmed: int
    processes: int
    confirmed_in_s: float

    @property
    def by_all(self) -> bool:
        """Whether all do; with none known, nobody has confirmed anything."""
        return self.confirmed == self.processes > 0


def choose(document: Document, wave_id: str | None) -> Document:
    """Return the wave that is meant: the one named, or the only one that is not closed.

    Raises:
        RefusedError: no such wave.
        click.UsageError: several could be meant.

    """
    waves: list[Document] = document["waves"]
    told = ", ".join(f"{wave['wave']} ({wave['phase'] or 'not seen yet'})" for wave in waves)
    if wave_id is not None:
        named = [wave for wave in waves if wave["wave"] == wave_id]
        if not named:
            raise RefusedError(f"there is no wave {wave_id}; there are {told}")
        return named[0]
    living = [wave for wave in waves if wave["phase"] != "closed"] or waves
    if len(living) != 1:
        raise click.UsageError(f"which wave? Add --wave with one of {told}")
    return living[0]


class Wish(NamedTuple):
    """What was said with a change."""

    wave_id: str | None
    reason: str = ""
    dry_run: bool = False
    confirm: str = ""
    for_s: int | None = None
    output: str | None = None


def change(
    client: Client,
    fields: Fields,
    wish: Wish,
    *,
    needs_reason: bool = True,
    is_undone: bool = True,
) -> None:
    """Change a policy, wait until every process goes by it, and say what was done.

    What is not undone by ``undo`` says nothing of it.
    """
    wave = _wave(client, wish, needs_reason=needs_reason)
    held = client.policy(wave)
    wanted = fields(held.policy)
    answer = client.change(
        wave,
        held.revision,
        wanted,
        reason=wish.reason,
        dry_run=wish.dry_run,
        confirm=wish.confirm,
        for_s=wish.for_s,
    )
    _tell(client, wave, answer, wish, held.revision, is_undone=is_undone)


def undo_change(client: Client, to: int | None, wish: Wish) -> None:
    """Go back to an earlier policy in the same way."""
    wave = _wave(client, wish, needs_reason=True)
    held = client.policy(wave)
    answer = client.undo(wave, held.revision, to, reason=wish.reason, dry_run=wish.dry_run)
    _tell(client, wave, answer, wish, held.revision)


def _wave(client: Client, wish: Wish, *, needs_reason: bool) -> str:
    wave = choose(client.status(), wish.wave_id)
    if needs_reason and not (wish.reason or wish.dry_run) and wave["phase"] in RUNNING:
        raise click.UsageError(f"{wave['wave']} is {wave['phase']}: say why with --reason")
    return str(wave["wave"])


def _tell(
    client: Client,
    wave: str,
    answer: Document,
    wish: Wish,
    before: int,
    *,
    is_undone: bool = True,
) -> None:
    if wish.dry_run:
        show(wish.output, answer, [answer["plan"]], lambda: plan_text(answer))
        return
    if answer["revision"] == before:
        show(wish.output, answer, [answer], lambda: _unchanged_text(answer))
        return
    confirmed = _wait_for_all(client, wave, answer["revision"])
    document = answer | confirmed._asdict()
    show(wish.output, document, [document], lambda: _changed_text(answer, confirmed))
    if wish.output is None and answer["changes"] and is_undone:
        click.echo(f"undo: gateway ctl undo --to {before}", err=True)
    if not confirmed.by_all:
        sys.exit(DEGRADED)


def _wait_for_all(client: Client, wave_id: str, revision: int) -> Confirmed:
    """Ask until every live process goes by the revision, or for long enough."""
    started_s = time.monotonic()
    while True:
        revisions = _revisions(client, wave_id)
        took_s = time.monotonic() - started_s
        count = sum(known >= revision for known in revisions)
        confirmed = Confirmed(count, len(revisions), round(took_s, 3))
        if confirmed.by_all or took_s > CONFIRM_S_MAX:
            return confirmed
        time.sleep(CONFIRM_EVERY_S)


def _revisions(client: Client, wave_id: str) -> list[int]:
    """Return the revision that each process goes by; delivery goes by none."""
    try:
        rows = client.status()["processes"]
    except ProblemError:  # the change is made: a moment's trouble is no reason to say otherwise
        return []
    return [row["revisions"][wave_id] for row in rows if wave_id in row.get("revisions", {})]


def _changed_text(answer: Document, confirmed: Confirmed) -> str:
    many = "process" if confirmed.processes == 1 else "processes"
    when = "in" if confirmed.by_all else "after"
    told, timer = changes_text(answer["changes"]) or "kept for good", answer.get("timer")
    if timer:
        back = ", ".join(f"{n} {value_text(n, v)}" for n, v in timer["fields"].items())
        told = f"{told} until {timer['until'][11:16]} (then back to {back})"
    return (
        f"revision {answer['revision']}: {told}, {confirmed.confirmed} of "
        f"{confirmed.processes} {many} confirmed {when} {confirmed.confirmed_in_s:.1f} s"
    )


def _unchanged_text(answer: Document) -> str:
    return f"revision {answer['revision']}: nothing to change"
