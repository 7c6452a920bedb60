"""The life of a wave from the command line: who may still come in, and when it closes.

Each verb is one change of the policy, as the knobs are: planned, confirmed, audited. What has closed is the
one thing that ``undo`` cannot undo.
"""

from datetime import datetime
from typing import Any

import click

from gateway.ctl_change import change, choose
from gateway.ctl_client import Client
from gateway.ctl_group import client_of, command_of, ctl, dry_run_option, reason_option, wave_option
from gateway.ctl_policy import knob, wish_of


@ctl.group()
def intake() -> None:
    """Say whether newcomers are taken."""


@knob(name="close", of=intake)
def close_intake(**how: Any) -> None:
    """Take nobody new from now on; those who have a place are served."""
    change(client_of(), lambda _: {"joins_paused": True}, wish_of(how))


@knob(name="open", of=intake)
def open_intake(**how: Any) -> None:
    """Take newcomers again, behind those who wait."""
    change(client_of(), lambda _: {"joins_paused": False}, wish_of(how))


_confirm = click.option("--confirm", default="", metavar="WAVE", help="The wave's id, repeated.")
_HOW = (wave_option, reason_option, dry_run_option, _confirm)


@ctl.group()
def wave() -> None:
    """Say when a wave closes. For admins."""


@command_of(*_HOW, name="close", of=wave)
def close_wave(**how: Any) -> None:
    """Close the wave now, and for good; those on the form finish it."""
    client = client_of()
    told = _now(client, how["wave_id"]).isoformat(timespec="milliseconds")
    change(client, lambda _: {"closes_at": told}, wish_of(how), is_undone=False)


@command_of(
    *_HOW,
    click.option(
        "--until",
        required=True,
        metavar="TIME",
        help="19:30 of today, or 2020-04-20T16:00, by the wave's clock.",
    ),
    name="extend",
    of=wave,
)
def extend_wave(*, until: str, **how: Any) -> None:
    """Let the wave close at another TIME than it was going to."""
    client = client_of()
    now = _now(client, how["wave_id"])
    closes = _instant(until, now)
    if closes <= now:
        raise click.BadParameter(
            f"{until} is over; `wave close` closes it now", param_hint="--until"
        )
    told = closes.isoformat()
    change(client, lambda _: {"closes_at": told}, wish_of(how))


def _now(client: Client, wave_id: str | None) -> datetime:
    """Return what the wave's own clock shows, whatever that of a machine says."""
    wave = choose(client.status(), wave_id)["wave"]
    return datetime.fromisoformat(client.forecast(wave)["at"])


def _instant(text: str, now: datetime) -> datetime:
    """Read an hour of today, or a day with its hour, by the clock that ``now`` is told by."""
    for whole in (text, f"{now:%Y-%m-%d}T{text.replace('.', ':')}"):
        try:
            instant = datetime.fromisoformat(whole)
        except ValueError:
            continue
        if len(text) > len("2020-04-20") or whole != text:
            return instant if instant.tzinfo else instant.replace(tzinfo=now.tzinfo)
    raise click.BadParameter(
        f"{text} is no time: say 19:30, or 2020-04-20T16:00", param_hint="--until"
    )
