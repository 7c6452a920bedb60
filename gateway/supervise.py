"""How does a whole system run on one machine? ``gateway up`` takes the data, the ports and the
keys, starts the children, keeps them running, and drains them when told to stop.

It holds no state and serves nobody. ``system`` says which children there are, ``restarts`` when one
is started again.
"""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from gateway import addresses, data
from gateway.children import ReadySocket, Say
from gateway.faults import ConfigurationError, Fault
from gateway.fleet import Fleet
from gateway.metrics import metrics_directory, prepare
from gateway.operators import renew_credential
from gateway.programmes import load_programmes
from gateway.secrets import (
    exist,
    load_secrets,
    make_console_key,
    make_payload_keys,
    make_secrets,
)
from gateway.settings import Operator, Public, Settings, load_settings
from gateway.system import System

THIS_GATEWAY = (sys.executable, "-m", "gateway")


@dataclass(frozen=True, slots=True)
class Running:
    """What the banner says."""

    public_url: str
    operator_url: str
    first_start: bool  # of these data


def up(
    settings: Settings,
    config: Path | None,
    environ: Mapping[str, str],
    programme_ids: Sequence[str] = (),
    *,
    fresh: bool = False,
    command: Sequence[str] = THIS_GATEWAY,
    on_ready: Callable[[Running], None],
    say: Say,
) -> None:
    """Run a whole system until SIGINT or SIGTERM ends it; ``fresh`` begins without the old data.

    Raises:
        CannotStartError: settings, data, an address or the Valkey server stand in the way.
        GaveUpError: a child ended for good; the others have been stopped.

    """
    with ExitStack() as held:
        lock = data.lock(Path(settings.data.dir))
        held.callback(os.close, lock)
        environ = dict(environ)
        public = _listen("public", settings.public, environ, held)
        operator = _listen("operator", settings.operator, environ, held)
        listening = [
            {
                section: held.enter_context(addresses.listening(bound)).fileno()
                for section, bound in (("public", public), ("operator", operator))
            }
            for _ in range(settings.serve.processes)
        ]
        if fresh:  # only now: nothing is deleted for a system that cannot start
            data.delete(settings)
        running = Running(
            addresses.url_of(settings.public.host, addresses.port_of(public)),
            addresses.url_of(settings.operator.host, addresses.port_of(operator)),
            prepare_secrets(settings, programme_ids),
        )
        renew_credential(settings.secrets.dir)
        prepare(metrics_directory(settings.data.dir))
        sockets = held.enter_context(data.socket_directory(settings))

        async def run() -> None:
            ready_socket = ReadySocket(sockets / "ready.sock")
            try:
                system = System(
                    settings, config, environ, ready_socket, sockets, lock, command, say, listening
                )
                await _run(system, lambda: on_ready(running))
            finally:
                ready_socket.close()

        asyncio.run(run())


def _listen(
    section: str, listener: Public | Operator, environ: dict[str, str], held: ExitStack
) -> socket.socket:
    """Keep one address for the children, and tell them its port."""
    bound = held.enter_context(addresses.reserve(listener.host, listener.port, f"{section}.port"))
    environ[f"GATEWAY_{section.upper()}_PORT"] = str(addresses.port_of(bound))
    return bound


async def _run(system: System, on_ready: Callable[[], None]) -> None:
    fleet = system.fleet()
    loop = asyncio.get_running_loop()
    stops = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as nohup asks
        stops.append(signal.SIGHUP)
    for number in stops:
        loop.add_signal_handler(number, fleet.stop)
    wanted = asyncio.Event()
    loop.add_signal_handler(signal.SIGUSR1, wanted.set)
    renewing = asyncio.create_task(_renew(system, fleet, wanted))
    try:
        await fleet.run(on_ready)
    finally:
        renewing.cancel()


async def _renew(system: System, fleet: Fleet, wanted: asyncio.Event) -> None:
    """At each SIGUSR1 have all children follow themselves, with the settings as they are then."""
    while True:
        await wanted.wait()
        wanted.clear()
        try:
            read = load_settings(system.config, system.environ)
            load_programmes(read.programmes.files)
        except ConfigurationError as error:
            for line in str(error).splitlines():
                system.say(line)
            system.say("nothing was restarted")
            continue
        if await fleet.renew():
            system.say("all processes were renewed")


def prepare_secrets(settings: Settings, programme_ids: Sequence[str] = ()) -> bool:
    """Make the keys at the first start; say whether it was.

    Raises:
        ConfigurationError: keys are missing where data are, or cannot be used.

    """
    first = not exist(settings.secrets.dir)
    if first and data.hold_registrations(settings):
        reason = f"holds no keys, but {settings.data.dir} holds data made with some: restore them"
        raise ConfigurationError(Fault(settings.secrets.dir, "", reason))
    if first:
        make_secrets(settings.secrets.dir)
    make_console_key(settings.secrets.dir)
    if settings.intake.encrypt:
        make_payload_keys(settings.secrets.dir, programme_ids)
    load_secrets(settings.secrets.dir, programme_ids)
    return first
