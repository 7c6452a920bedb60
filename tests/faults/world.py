"""A whole system of real processes for one schedule: Valkey, two front doors, deliveries, a store."""

import asyncio
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any

import redis.asyncio

from gateway import addresses, valkey
from gateway.metrics import metrics_directory, prepare
from gateway.operators import renew_credential
from gateway.redis.keys import room_keys
from gateway.settings import load_settings
from gateway.supervise import prepare_secrets
from tests.faults.child import Orders
from tests.faults.postgres import PostgresServer
from tests.faults.preload import Control
from tests.faults.processes import Forked, Handle, Slot, spawn
from tests.faults.schedules import LINKS, Kind, Schedule, Store
from tests.faults.stores import RunStore, SqliteFile
from tests.faults_proxy import Faults, relay, relay_tcp
from tests.gateways import PROGRAMME

DOORS = 2
DISK_BYTES = 3_000_000
OPENS_S = 1
READY_S_MAX = 30.0
STORES: Mapping[Store, Callable[[Path], RunStore]] = {
    Store.SQLITE: SqliteFile,
    Store.POSTGRESQL: PostgresServer,
}
PROGRAMME_ID, WAVE = "trial", "trial-1"

SETTINGS = """
[redis]
url = "unix://{folder}/v.sock"
tick_ms = 100
unsafe_ok = {unsafe}
[store]
url = "{store}"
[data]
dir = "{folder}/data"
[serve]
drain_s = 5
[programmes]
files = ["{folder}/programme.toml"]
"""


class World:
    """The system, and the handles by which it is disturbed."""

    def __init__(self, schedule: Schedule, folder: Path, stack: AsyncExitStack) -> None:
        self.schedule, self.folder = schedule, folder
        self.valkey_folder = folder / "valkey"
        self.socket = folder / "v.sock"
        self.store = STORES[schedule.store](folder)
        self.control = Control(folder)
        self.server_lock = asyncio.Lock()  # one hand at a time on Valkey's files
        self.skipped: list[str] = []
        self.links: dict[str, Faults] = {}  # between a process and Valkey
        self.lines: list[Faults] = []  # between clients and a front door
        self.urls: list[str] = []  # where applicants reach the front doors
        self.doors: list[Slot] = []
        self.deliveries: list[Slot] = []
        # Any: its types cannot tell bytes from text.
        self.client: Any = redis.asyncio.Redis(
            unix_socket_path=str(self.socket), socket_timeout=3.0
        )
        self._ports: list[int] = []
        self._stack = stack

    async def start(self) -> None:
        """Bring everything up, and wait until both front doors answer."""
        self._write_files()
        self._mount()
        await self._stack.enter_async_context(self.store.running())
        self.server = Slot("valkey", self._launch_valkey)
        self._stack.push_async_callback(self.server.end)
        self._stack.push_async_callback(self.client.aclose)
        assert await valkey.wait_until_answering(self.socket), valkey.explain(self.valkey_folder)
        for name in (*(f"serve-{n}" for n in range(DOORS)), *self._delivery_names()):
            await self._add(name)
        await self._wait_until_ready()

    def _delivery_names(self) -> list[str]:
        return [f"deliver-{n}" for n in range(self.schedule.delivers)]

    def _write_files(self) -> None:
        terms = self.schedule.terms
        programme = PROGRAMME.format(
            opens_at=f"+{OPENS_S}s",
            quota=terms.quota,
            rate_per_s=terms.rate_per_s,
            burst=terms.burst,
            check_in_s=1,
        )
        programme = programme.replace("pass_ttl_s = 120", f"pass_ttl_s = {terms.pass_ttl_s}")
        (self.folder / "programme.toml").write_text(programme)
        settings = SETTINGS.format(
            folder=self.folder,
            unsafe=str(self.schedule.unsafe).lower(),
            store=self.store.url,
        )
        self.config = self.folder / "gateway.toml"
        self.config.write_text(settings)
        (self.folder / "data").mkdir(mode=0o700)
        self.valkey_folder.mkdir(mode=0o700)
        loaded = load_settings(self.config, {})
        prepare_secrets(loaded)
        renew_credential(loaded.secrets.dir)
        prepare(metrics_directory(loaded.data.dir))

    def _mount(self) -> None:
        """Give Valkey a small disk of its own, where the schedule fills it."""
        if Kind.DISK_FULL not in self.schedule.kinds:
            return
        size, folder = f"size={DISK_BYTES}", str(self.valkey_folder)
        command = ["mount", "-t", "tmpfs", "-o", size, "none", folder]
        mounted = subprocess.run(command, check=False, capture_output=True, text=True)
        if mounted.returncode:
            self.skipped.append(f"disk-full: no file system of its own ({mounted.stderr.strip()})")
            return
        # After the server, the last to use it, has ended.
        unmount = ["umount", "-l", folder]
        self._stack.callback(partial(subprocess.run, unmount, check=False))

    @property
    def has_small_disk(self) -> bool:
        return self.valkey_folder.is_mount()

    async def _add(self, name: str) -> None:
        """Start one gateway process, with relays around it where the schedule needs them."""
        command = name.partition("-")[0]
        environ: dict[str, str] = {}
        if self.schedule.kinds & LINKS:
            front = self.folder / f"{name}.sock"
            self.links[name] = await self._stack.enter_async_context(relay(front, self.socket))
            environ["GATEWAY_REDIS_URL"] = f"unix://{front}"
        if command == "serve":
            ports = [self._free_port() for _ in range(2)]
            environ |= {"GATEWAY_PUBLIC_PORT": str(ports[0])}
            environ |= {"GATEWAY_OPERATOR_PORT": str(ports[1])}
            self._ports.append(ports[0])
            self.urls.append(f"http://127.0.0.1:{await self._line(ports[0])}")
        scarce = command == "serve" and Kind.DESCRIPTORS in self.schedule.kinds
        orders = Orders(
            command=command,
            folder=self.folder,
            config=self.config,
            log=self.folder / f"{name}.log",
            environ=environ,
            bug=self.schedule.bug,
            descriptors=256 if scarce else 4_096,
        )
        slot = Slot(name, partial(self._fork, orders))
        self._stack.push_async_callback(slot.end)
        (self.doors if command == "serve" else self.deliveries).append(slot)

    async def _line(self, port: int) -> int:
        if Kind.ANSWERS_LOST not in self.schedule.kinds:
            return port
        line = await self._stack.enter_async_context(relay_tcp(port))
        self.lines.append(line)
        return line.port

    def _free_port(self) -> int:
        held = self._stack.enter_context(addresses.reserve("127.0.0.1", 0, "public.port"))
        return addresses.port_of(held)

    def _fork(self, orders: Orders) -> "asyncio.Future[Handle]":
        forked: asyncio.Future[Handle] = asyncio.get_running_loop().create_future()
        forked.set_result(Forked(orders))
        return forked

    def _launch_valkey(self) -> "asyncio.Future[Handle]":
        command = valkey.command(valkey.find_server(), self.valkey_folder, self.socket)
        command += ["--enable-debug-command", "local"]
        if self.schedule.unsafe:
            command[command.index("always")] = "everysec"
        log = self.folder / "valkey.out"
        return asyncio.ensure_future(spawn(command, self.control.environ, log))

    async def _wait_until_ready(self) -> None:
        deadline_s = asyncio.get_running_loop().time() + READY_S_MAX
        for port in self._ports:
            while not await _answers(port):
                if asyncio.get_running_loop().time() > deadline_s:
                    raise AssertionError(f"not ready within {READY_S_MAX:.0f} s: see {self.folder}")
                await asyncio.sleep(0.02)

    async def command(self, *parts: str) -> Any:
        """Ask Valkey itself, by no relay."""
        return await self.client.execute_command(*parts)

    def slots(self) -> list[Slot]:
        """Return every process's place."""
        return [self.server, *self.doors, *self.deliveries, *self.store.slots]

    def wake_all(self) -> None:
        """Let everything run that was stopped."""
        for slot in self.slots():
            slot.signal(signal.SIGCONT)

    def key(self, name: str) -> str:
        """Return one key of the room."""
        keys = {one.rpartition(":")[2]: one for one in room_keys("gw", PROGRAMME_ID, WAVE)}
        return keys[name]


async def _answers(port: int) -> bool:
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    try:
        path = f"/v1/waves/{WAVE}/board"
        writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        return b" 200 " in await asyncio.wait_for(reader.readline(), 2.0)
    except (OSError, TimeoutError):
        return False
    finally:
        writer.close()


def discard(folder: Path) -> None:
    """Remove a run's folder."""
    shutil.rmtree(folder, ignore_errors=os.path.ismount(folder / "valkey"))
