"""What can be asked of ``gateway`` on the command line? Commands that ask; none decides anything.

Data go to stdout, talk to stderr. What a person has to put right is told in a line each, with exit
code 2; a refused configuration ends ``serve`` and ``deliver`` with 78: do not start them again.
"""

import os
import resource
import shutil
import sys
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gateway.completion import Forward, completion_source
from gateway.faults import CannotStartError, ConfigurationError, Fault
from gateway.restarts import REFUSED

if TYPE_CHECKING:
    from gateway.core.programme import Programme
    from gateway.secrets import Secrets
    from gateway.settings import Settings

STARTED_S = time.monotonic()
INTERRUPTED = 130  # what shells expect of a command that Ctrl-C ended

config_option = click.option(
    "--config",
    type=click.Path(path_type=Path),
    envvar="GATEWAY_CONFIG",
    default=Path("config/gateway.toml"),
    show_default=True,
    help="The settings file.",
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """A waiting room and registration gateway that stays up on launch day."""


@cli.command()
@config_option
@click.option("--fresh", is_flag=True, help="Delete queue, registrations and keys first.")
@click.option("--yes", is_flag=True, help="Do not ask before deleting.")
def up(config: Path, *, fresh: bool, yes: bool) -> None:
    """Run a whole system on this machine until Ctrl-C."""
    from gateway.banner import banner, shown_waves
    from gateway.supervise import Running
    from gateway.supervise import up as run

    settings, programmes = _load(config)
    if fresh and not yes:
        question = f"Delete the queue, all registrations and the keys in {settings.data.dir}?"
        click.confirm(question, abort=True, err=True)

    def on_ready(running: Running) -> None:
        took_s = time.monotonic() - STARTED_S
        waves = shown_waves(programmes, now_us=time.time_ns() // 1_000)
        click.echo(banner(settings, running, waves, ctl=_ctl_command(), took_s=took_s))
        _ready()

    ids = [programme.id for programme in programmes]
    run(settings, config, os.environ, ids, fresh=fresh, on_ready=on_ready, say=_say)


@cli.command()
@config_option
def serve(config: Path) -> None:
    """Run one front door: applicants' and operators' listeners."""
    settings, programmes, secrets = _load_process(config)
    from gateway import compose

    _run(compose.serve(settings, programmes, secrets, config, ready=_ready))


@cli.command()
@config_option
def deliver(config: Path) -> None:
    """Run delivery: accepted registrations go to the store."""
    settings, programmes, secrets = _load_process(config)
    from gateway import compose_deliver

    _run(compose_deliver.deliver(settings, programmes, secrets, ready=_ready))


@cli.command("check-config")
@config_option
def check_config(config: Path) -> None:
    """Say everything that is wrong with settings, programmes and keys, or that nothing is."""
    from gateway.secrets import exist, load_secrets
    from gateway.store_settings import store_of

    settings, programmes = _load(config)
    if exist(settings.secrets.dir):
        ids = [programme.id for programme in programmes]
        load_secrets(settings.secrets.dir, ids, encrypt=settings.intake.encrypt)
    store_of(settings, b"")  # opens nothing, and says what it could not open
    for programme in programmes:
        waves = ", ".join(wave.id for wave in programme.waves)
        click.echo(f"programme {programme.id}: {len(programme.fields)} fields; waves {waves}")
    click.echo(f"{config} and {len(programmes)} programmes: nothing is wrong")


@cli.command("export")
@config_option
@click.option("--programme", required=True, help="The programme's id.")
@click.option("--format", "kind", type=click.Choice(["csv", "jsonl"]), default="csv")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
def export_(config: Path, programme: str, kind: str, file: Path) -> None:
    """Write a programme's registrations from the store into a new FILE. It holds personal data."""
    from gateway.export_command import run

    settings, programmes = _load(config)
    _say(run(settings, programmes, programme, kind, file))


@cli.command()
@config_option
@click.option("--programme", help="The programme's id; the first one unless said.")
@click.option("--port", type=click.IntRange(0, 65_535), default=8090, show_default=True)
def preview(config: Path, programme: str | None, port: int) -> None:
    """Show applicants' pages in every state, with made-up numbers, until Ctrl-C. Needs no Redis."""
    from gateway.preview import show

    _run(show(_load(config)[1], programme, port, click.echo))


@cli.command()
def version() -> None:
    """Print the version."""
    from importlib.metadata import version as installed

    click.echo(installed("registration-gateway"))


for name, where, meaning, alone in (
    ("verify-draw", "gateway.verify:verify_draw", "Recompute a draw, and say PASS or FAIL.", False),
    ("simulate", "gateway.simulate:simulate", "Lead a crowd through the rules, virtually.", False),
    ("ctl", "gateway.ctl:ctl", "Look, and turn the knobs: status, rate …", True),
    ("operators", "gateway.operators_command:operators", "Say who may operate.", True),
):
    cli.add_command(Forward(name, where, meaning, alone=alone))


@cli.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print what completes commands in a SHELL: eval "$(gateway completion bash)"."""
    click.echo(completion_source(cli, shell))


@cli.command()
@config_option
def doctor(config: Path) -> None:
    """Look at everything a launch rests on, and say what is wrong and how to cure it."""
    from gateway.doctor import run

    settings, programmes = _load(config)
    sys.exit(run(settings, programmes))


def _load(config: Path) -> "tuple[Settings, tuple[Programme, ...]]":
    from gateway.settings import load_settings
    from gateway.wording import load_worded

    settings = load_settings(config, os.environ)
    return settings, load_worded(settings.programmes.files)


def _load_process(config: Path) -> "tuple[Settings, tuple[Programme, ...], Secrets]":
    """Load all that one process needs; the Redis must run already."""
    from gateway.secrets import load_secrets
    from gateway.settings import EMBEDDED

    settings, programmes = _load(config)
    if settings.redis.url == EMBEDDED:
        reason = '"embedded" is for `gateway up`; give the URL of a server that runs'
        raise ConfigurationError(Fault(str(config), "redis.url", reason))
    ids = [programme.id for programme in programmes]
    secrets = load_secrets(settings.secrets.dir, ids, encrypt=settings.intake.encrypt)
    return settings, programmes, secrets


def _run(work: Coroutine[Any, Any, None]) -> None:
    """Run one process of the system on the fast event loop."""
    import asyncio

    import uvloop

    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file would hold personal data
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(work)


def _ready() -> None:
    from gateway.notify import notify

    notify(os.environ)


def _say(text: str) -> None:
    click.echo(f"gateway: {text}", err=True)


def _ctl_command() -> str:
    """Return how this very ``gateway`` is called from the shell."""
    if shutil.which("gateway"):
        return "gateway ctl"
    beside = Path(sys.executable).with_name("gateway")
    here = Path.cwd()
    return f"{beside.relative_to(here) if beside.is_relative_to(here) else beside} ctl"


def main() -> None:
    """Run the command line; no traceback for what a person can put right."""
    sys.exit(_main())


def _main() -> int:
    if not __debug__:
        _say("python -O removes checks that promises rest on; start without it")
        return 2
    code: Any
    try:
        code = cli.main(prog_name="gateway", standalone_mode=False)
    except click.ClickException as error:
        where = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else ""
        _say(f"{error.format_message()}{f' See {where} --help' if where else ''}")
        return 2
    except click.Abort:
        return INTERRUPTED
    except CannotStartError as error:
        for line in str(error).splitlines():
            _say(line)
        is_child = sys.argv[1:2] in (["serve"], ["deliver"])
        return REFUSED if is_child and isinstance(error, ConfigurationError) else 2
    except OSError as error:
        _say(str(error))
        return 2
    return code if isinstance(code, int) else 0
