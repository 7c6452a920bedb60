"""The operator's hand: look, and turn the knobs, over the operator's listener and nothing else.

Data go to stdout, talk to stderr. Exit codes: 0 all is well, 1 a problem, 2 refused or misused,
3 degraded, 4 paused, 5 closed, 6 no gateway answers.
"""

import json
import math
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from gateway.core.policy import BOUNDS
from gateway.ctl_change import DEGRADED, change, choose
from gateway.ctl_client import Client, Document, ProblemError, UnreachableError
from gateway.ctl_text import audit_text, policy_text, status_text

PAUSED, CLOSED = 4, 5
WATCH_EVERY_S = 1.0


def _remember(ctx: click.Context, param: click.Parameter, value: Any) -> None:
    """Keep an option that may stand before or after the command; the later one wins."""
    if value is not None:
        ctx.ensure_object(dict)[param.name] = value


def _target_options(*, first: bool) -> Callable[[Any], Any]:
    """Return the options that say which gateway; their defaults are told once, by the group."""
    operator = click.option(
        "--operator",
        metavar="URL",
        envvar="GATEWAY_CTL_URL" if first else None,
        default="http://127.0.0.1:8081" if first else None,
        show_default=first,
        expose_value=False,
        callback=_remember,
        help="The operator's listener (GATEWAY_CTL_URL).",
    )
    credential = click.option(
        "--credential-file",
        type=click.Path(path_type=Path),
        envvar="GATEWAY_CTL_CREDENTIAL_FILE" if first else None,
        default=Path(".data/secrets/ctl.credential") if first else None,
        show_default=first,
        expose_value=False,
        callback=_remember,
        help="Where the credential is (GATEWAY_CTL_CREDENTIAL_FILE).",
    )
    return lambda command: operator(credential(command))


wave_option = click.option(
    "--wave", "wave_id", metavar="ID", help="Which wave; needed where several are."
)
_json = click.option("--json", "as_json", is_flag=True, help="Print what the gateway answers.")
reason_option = click.option(
    "--reason", default="", metavar="TEXT", help="Why: kept with the change; needed while open."
)
_dry_run = click.option("--dry-run", is_flag=True, help="Only say what would be changed.")


def command_of(
    *options: Callable[[Any], Any], name: str | None = None, of: click.Group | None = None
) -> Callable[[Any], click.Command]:
    """Make a command of a group with these options and those that every one has."""

    def make(function: Any) -> click.Command:
        for option in (_json, *options, _target_options(first=False)):
            function = option(function)
        command: click.Command = (of or ctl).command(name)(function)
        return command

    return make


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@_target_options(first=True)
@click.pass_context
def ctl(ctx: click.Context) -> None:
    """Look, and turn the knobs of a running gateway."""
    if os.environ.get("NO_COLOR"):
        ctx.color = False


def client_of() -> Client:
    target = click.get_current_context().obj
    return Client(target["operator"], target["credential_file"])


@command_of(
    wave_option, click.option("--watch", is_flag=True, help="Again every second, until Ctrl-C.")
)
def status(*, wave_id: str | None, as_json: bool, watch: bool) -> None:
    """Show how waves and processes stand; the exit code says it in short."""
    client = client_of()
    if not watch:
        sys.exit(_show_status(client, wave_id, as_json=as_json))
    try:
        while True:
            _watch_once(client, wave_id, as_json=as_json)
            time.sleep(WATCH_EVERY_S)
    except KeyboardInterrupt:
        return


def _watch_once(client: Client, wave_id: str | None, *, as_json: bool) -> None:
    if sys.stdout.isatty() and not as_json:
        click.clear()
    try:
        _show_status(client, wave_id, as_json=as_json)
    except (UnreachableError, ProblemError) as error:
        click.echo(error.format_message(), err=True)


def _show_status(client: Client, wave_id: str | None, *, as_json: bool) -> int:
    document = client.status()
    waves = document["waves"] if wave_id is None else [choose(document, wave_id)]
    click.echo(json.dumps(document) if as_json else status_text(document, waves))
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
    reason_option,
    _dry_run,
    click.option("--burst", type=int, metavar="B", help="At most one second of rate."),
    click.argument("rate_per_s", metavar="N"),
)
def rate(*, rate_per_s: str, burst: int | None, **how: Any) -> None:
    """Admit N people a second from now on."""
    try:
        number = float(rate_per_s.removesuffix("/s"))
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise click.BadParameter("must be a number, such as 25 or 0.5", param_hint="N")

    def fields(policy: Document) -> Document:
        if burst is not None:
            return {"rate_per_s": number, "burst": burst}
        fitting = max(1, math.floor(number))
        if policy["burst"] <= fitting:
            return {"rate_per_s": number}
        click.echo(f"burst is lowered to {fitting}: at most one second of rate", err=True)
        return {"rate_per_s": number, "burst": fitting}

    change(client_of(), fields, **how)


@command_of(wave_option, reason_option, _dry_run)
def pause(**how: Any) -> None:
    """Stop admitting; places are kept, and the time of passes stands."""
    change(client_of(), lambda _: {"paused": True}, **how)


@command_of(wave_option, reason_option, _dry_run)
def resume(**how: Any) -> None:
    """Go on admitting."""
    change(client_of(), lambda _: {"paused": False}, needs_reason=False, **how)


@command_of(
    wave_option,
    reason_option,
    _dry_run,
    click.argument("pairs", metavar="KEY=VALUE...", nargs=-1),
    name="set",
)
def set_policy(*, pairs: Sequence[str], **how: Any) -> None:
    """Change any fields of the policy, all or none."""
    if not pairs or not all("=" in pair for pair in pairs):
        raise click.UsageError("give KEY=VALUE, one or more; `policy` shows the keys")
    wanted = dict(_field(*pair.split("=", 1)) for pair in pairs)
    change(client_of(), lambda _: wanted, **how)


def _field(name: str, text: str) -> tuple[str, Any]:
    """Read a value as JSON, except where the field is a text; what it means the gateway checks."""
    if name in BOUNDS and BOUNDS[name].kind is str:
        return name, text
    try:
        return name, json.loads(text, parse_constant=str)
    except ValueError:
        return name, text


@command_of(wave_option)
def policy(*, wave_id: str | None, as_json: bool) -> None:
    """Show the policy in force."""
    client = client_of()
    chosen = choose(client.status(), wave_id)["wave"]
    held = client.policy(chosen)
    document = {"wave": chosen, "revision": held.revision, "policy": held.policy}
    click.echo(json.dumps(document) if as_json else policy_text(chosen, held.revision, held.policy))


@command_of(wave_option)
def audit(*, wave_id: str | None, as_json: bool) -> None:
    """Show who changed what, when and why."""
    records = client_of().audit(wave_id)
    click.echo(json.dumps({"records": records}) if as_json else audit_text(records))
