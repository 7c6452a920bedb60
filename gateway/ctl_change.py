"""How is a policy changed from the command line? Read, change what was read, see it in force everywhere.

A change is made to the revision that was read: if somebody else was faster it is refused, not merged.
"""

import json
import sys
import time
from collections.abc import Callable
from typing import NamedTuple

import click

from gateway.ctl_client import Client, Document, ProblemError, RefusedError
from gateway.ctl_text import changes_text

DEGRADED = 3  # exit code
CONFIRM_S_MAX = 6.0  # a process that was killed stays in the table for five
CONFIRM_EVERY_S = 0.1
REASON_PHASES = frozenset({"open", "paused", "full"})

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


def change(
    client: Client,
    fields: Fields,
    *,
    wave_id: str | None,
    reason: str,
    dry_run: bool,
    as_json: bool,
    needs_reason: bool = True,
) -> None:
    """Change a policy, wait until every process goes by it, and say what was done."""
    wave = choose(client.status(), wave_id)
    if needs_reason and not reason and not dry_run and wave["phase"] in REASON_PHASES:
        raise click.UsageError(f"{wave['wave']} is {wave['phase']}: say why with --reason")
    held = client.policy(wave["wave"])
    wanted = fields(held.policy)
    answer = client.change(wave["wave"], held.revision, wanted, reason=reason, dry_run=dry_run)
    if dry_run or not answer["changes"]:
        click.echo(json.dumps(answer) if as_json else _unchanged_text(answer))
        return
    confirmed = _wait_for_all(client, wave["wave"], answer["revision"])
    if as_json:
        click.echo(json.dumps(answer | confirmed._asdict()))
    else:
        click.echo(_changed_text(answer, confirmed))
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
    return (
        f"revision {answer['revision']}: {changes_text(answer['changes'])}, {confirmed.confirmed} of "
        f"{confirmed.processes} {many} confirmed {when} {confirmed.confirmed_in_s:.1f} s"
    )


def _unchanged_text(answer: Document) -> str:
    if not answer["changes"]:
        return f"revision {answer['revision']}: nothing to change"
    return f"dry run: {changes_text(answer['changes'])}; nothing was changed"
