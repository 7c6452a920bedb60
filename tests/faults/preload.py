"""The library that lies to a server about its clock, and knows what its disk has confirmed."""

import functools
import mmap
import os
import struct
import subprocess
import tempfile
from pathlib import Path

SOURCE = Path(__file__).with_name("preload.c")


@functools.cache
def library() -> Path:
    """Build it; once per process that runs schedules."""
    built = Path(tempfile.gettempdir()) / f"gateway-faults-{os.getuid()}-{_version()}.so"
    if not built.exists():
        fresh = built.with_suffix(f".{os.getpid()}")
        command = ["cc", "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"]
        subprocess.run([*command, "-o", fresh, SOURCE, "-ldl"], check=True)
        fresh.replace(built)
    return built


def _version() -> str:
    import hashlib

    return hashlib.sha256(SOURCE.read_bytes()).hexdigest()[:16]


class Control:
    """What one server is made to believe."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "control"
        self._path.write_bytes(bytes(16))
        with self._path.open("r+b") as file:
            self._shared = mmap.mmap(file.fileno(), 16)
        self.synced = folder / "synced"

    @property
    def environ(self) -> dict[str, str]:
        """Return what the server is started with."""
        return {
            "LD_PRELOAD": str(library()),
            "FAULTS_CONTROL": str(self._path),
            "FAULTS_SYNCED": str(self.synced),
        }

    def step_clock(self, us: int) -> None:
        """Move its wall clock."""
        self._add(0, us)

    def stall_fsync(self, us: int) -> None:
        """Lengthen each fsync; negative: shorten it again."""
        self._add(8, us)

    def _add(self, at: int, us: int) -> None:
        (before,) = struct.unpack_from("q", self._shared, at)
        struct.pack_into("q", self._shared, at, before + us)

    def lose_power(self, log: Path) -> int:
        """Take from the append-only files what no fsync has confirmed; return how many bytes.

        The server has been killed. A file that was never confirmed is empty after a power loss.
        """
        confirmed: dict[str, int] = {}
        for line in self.synced.read_text().splitlines() if self.synced.exists() else ():
            length, _, path = line.partition(" ")
            confirmed[path] = int(length)
        taken = 0
        for file in log.glob("*.incr.aof"):
            durable = min(confirmed.get(str(file.resolve()), 0), file.stat().st_size)
            taken += file.stat().st_size - durable
            os.truncate(file, durable)
        return taken
