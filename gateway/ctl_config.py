"""New settings from the command line: asked for, and waited for until every process goes by them."""

import contextlib
import time
from collections.abc import Sequence

import click

from gateway.core.policy_change import RUNNING
from gateway.ctl_client import Client, Document, ProblemError, UnreachableError
from gateway.ctl_group import client_of, command_of, ctl, reason_option, show

WAIT_S_MAX = 180.0  # each process may drain for `serve.drain_s` before the next is followed
LOOK_EVERY_S = 0.2


@ctl.group("config")
def config_group() -> None:
    """Have settings count that were changed in files. For admins."""


@command_of(reason_option, name="reload", of=config_group)
def reload_config(*, reason: str, output: str | None) -> None:
    """Have every process of the gateway's machine followed by a new one, with the settings of now."""
    client = client_of()
    status = client.status()
    for wave in status["waves"]:
        if wave["phase"] in RUNNING and not reason:
            raise click.UsageError(f"{wave['wave']} is {wave['phase']}: say why with --reason")
    began_s = time.monotonic()
    machine = client.reload(reason=reason)["process"].rpartition("-")[0]
    before = _pids(status, machine)
    _wait(client, machine, before)
    document = {"renewed": len(before), "took_s": round(time.monotonic() - began_s, 1)}
    many = "process was" if len(before) == 1 else "processes were"
    told = f"{len(before)} {many} renewed in {document['took_s']} s"
    show(output, document, [document], lambda: told)


def _pids(status: Document, machine: str) -> Sequence[int]:
    rows = [*status["processes"], *status["deliveries"]]
    return [row["pid"] for row in rows if row["process"].rpartition("-")[0] == machine]


def _wait(client: Client, machine: str, before: Sequence[int]) -> None:
    """Wait until as many others are there, and none of those before.

    Raises:
        ProblemError: some are still there, after long.

    """
    left = before
    deadline_s = time.monotonic() + WAIT_S_MAX
    while time.monotonic() < deadline_s:
        # Whoever answered may be the one that ends: the next one answers.
        with contextlib.suppress(UnreachableError, ProblemError):
            now = _pids(client.status(), machine)
            left = [pid for pid in before if pid in now]
            if not left and len(now) >= len(before):
                return
        time.sleep(LOOK_EVERY_S)
    raise ProblemError(f"{len(left)} of {len(before)} were not renewed: `gateway up` says why")
