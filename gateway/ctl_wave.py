"""The life of a wave from the command line: who may still come in.

Each verb is one change of the policy, as the knobs are: planned, confirmed, audited, undone by ``undo``.
"""

from typing import Any

from gateway.ctl_change import change
from gateway.ctl_group import client_of, ctl
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
