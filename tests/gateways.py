"""A real gateway for end-to-end tests: processes of their own, free ports, a folder of its own."""

import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.support import wait_for

PROGRAMME = """
id = "trial"
demo = true
zone = "WIB"
selection = "first-come"
person_field = "nik"
name = {{ id = "Pendaftaran uji", en = "Trial registration" }}
help_line = {{ id = "Telepon 0800-000", en = "Call 0800-000" }}
prepare = {{ id = "Siapkan NIK.", en = "Have your NIK ready." }}

[[waves]]
id = "trial-1"
ordinal = 1
prequeue_at = "+0s"
opens_at = "{opens_at}"
closes_at = "+1h"
policy = {{ quota = {quota}, rate_per_s = {rate_per_s}, burst = {burst}, form_cap = 100, pass_ttl_s = 120, check_in_s = {check_in_s} }}

[[fields]]
name = "nik"
kind = "nik"
label = {{ id = "Nomor Induk Kependudukan (NIK)", en = "National identity number (NIK)" }}
hint = {{ id = "16 angka", en = "16 digits" }}

[[fields]]
name = "name"
kind = "text"
max_length = 200
label = {{ id = "Nama", en = "Name" }}
"""

SETTINGS = """
[public]
port = 0
[operator]
port = 0
[redis]
url = "{redis_url}"
[data]
dir = "{folder}/data"
[serve]
drain_s = 5
[programmes]
files = ["{folder}/programme.toml"]
"""


@dataclass
class RunningGateway:
    """`gateway up` as a child process, and where it listens."""

    folder: Path
    process: subprocess.Popen[str] | None = None
    lines: list[str] = field(default_factory=list)  # what it has said, both streams

    listening: threading.Thread = field(default_factory=threading.Thread)

    wave = "trial-1"

    def start(self) -> None:
        """Start it, and wait until it says that it is ready."""
        self.lines.clear()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "gateway", "up", "--config", str(self.folder / "gateway.toml")],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        self.listening = threading.Thread(target=self._listen, args=(self.process,), daemon=True)
        self.listening.start()
        wait_for(self._settled, timeout_s=30, what="gateway up is ready")
        assert self.process.poll() is None, "\n".join(self.lines)

    def _listen(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        with process.stdout as stream:
            for line in stream:
                self.lines.append(line.rstrip())

    def _settled(self) -> bool:
        assert self.process is not None
        ready = any("Stop" in line for line in self.lines)
        return ready or self.process.poll() is not None

    def stop(self) -> int:
        """Ask it to drain, as Ctrl-C does; return its exit code."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        code = self.process.wait(30)
        self.listening.join(10)
        return code

    def signal(self, number: signal.Signals) -> None:
        """Tell the supervisor something."""
        assert self.process is not None
        self.process.send_signal(number)

    def kill(self, pid: int) -> None:
        """Kill one of its children."""
        os.kill(pid, signal.SIGKILL)

    def children(self, command: str) -> list[int]:
        """Return the pids of its children whose command line holds ``command``."""
        assert self.process is not None
        found = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdecimal():
                continue
            try:
                status = (entry / "stat").read_text().rpartition(")")[2].split()
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
            if int(status[1]) == self.process.pid and command in line:
                found.append(int(entry.name))
        return found

    def _address(self, label: str) -> str:
        line = next(line for line in self.lines if line.strip().startswith(label))
        return line.split()[-1].rstrip("/")

    @property
    def public_url(self) -> str:
        return self._address("Applicants")

    @property
    def operator_url(self) -> str:
        return self._address("Operators")

    @property
    def credential_file(self) -> Path:
        return self.folder / "data" / "secrets" / "ctl.credential"

    @property
    def store_file(self) -> Path:
        return self.folder / "data" / "registrations.db"


@contextmanager
def a_gateway(
    *,
    opens_at: str = "+2s",
    quota: int = 50,
    rate_per_s: float = 20.0,
    burst: int = 5,
    check_in_s: int = 1,
    redis_url: str = "embedded",
) -> Iterator[RunningGateway]:
    """Run a gateway whose wave opens ``opens_at`` after its start."""
    folder = Path(tempfile.mkdtemp(prefix="gw"))
    programme = PROGRAMME.format(
        opens_at=opens_at, quota=quota, rate_per_s=rate_per_s, burst=burst, check_in_s=check_in_s
    )
    (folder / "programme.toml").write_text(programme)
    (folder / "gateway.toml").write_text(SETTINGS.format(folder=folder, redis_url=redis_url))
    gateway = RunningGateway(folder)
    gateway.start()
    try:
        yield gateway
    finally:
        code = gateway.stop()
        if code != 0:
            raise AssertionError(f"gateway up ended with {code}:\n" + "\n".join(gateway.lines))
