"""What do all commands of ``gateway ctl`` share? Which gateway, which wave, why, and how answers are told.

``--json`` prints what the gateway answers, ``--plain`` one record a line, its members separated by tabs.
"""

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from gateway.ctl_client import Client

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
_json = click.option("--json", "output", flag_value="json", help="Print what the gateway answers.")
_plain = click.option("--plain", "output", flag_value="plain", help="Print one record a line.")
reason_option = click.option(
    "--reason",
    default="",
    metavar="TEXT",
    help="Why: kept with the change; needed while a wave runs.",
)
dry_run_option = click.option("--dry-run", is_flag=True, help="Only show the plan.")


def command_of(
    *options: Callable[[Any], Any], name: str | None = None, of: click.Group | None = None
) -> Callable[[Any], click.Command]:
    """Make a command of a group with these options and those that every one has."""

    def make(function: Any) -> click.Command:
        for option in (_json, _plain, *options, _target_options(first=False)):
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


def show(
    output: str | None, document: Any, records: Iterable[Mapping[str, Any]], text: Callable[[], str]
) -> None:
    """Print an answer as it was asked for; ``text`` makes what people read."""
    match output:
        case "json":
            click.echo(json.dumps(document))
        case "plain":
            for record in records:
                click.echo("\t".join(f"{name}={value}" for name, value in _flat("", record)))
        case _:
            click.echo(text())


def _flat(path: str, value: Any) -> Iterator[tuple[str, str]]:
    """Yield the leaves of a document, each with its dotted name."""
    if isinstance(value, Mapping):
        for name, member in value.items():
            yield from _flat(f"{path}.{name}" if path else str(name), member)
    else:
        yield path, value if isinstance(value, str) and value.isprintable() else json.dumps(value)
