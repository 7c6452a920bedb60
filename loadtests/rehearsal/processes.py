"""Which processes take part, and what do they use? Found and measured from outside."""

import contextlib
import signal
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import psutil

ROLES = ("serve", "deliver")  # what `gateway up` starts as commands of its own
SERVERS = {"valkey-server": "valkey", "redis-server": "valkey"}  # and as other programs


@dataclass(frozen=True, slots=True)
class Use:
    """What one process has used until now."""

    cpu_s: float
    memory_bytes: int


class Processes:
    """The system's processes and the generator's, by what they were started as.

    A child that is started again keeps its name.
    """

    def __init__(self, gateway: int | None, postgres: int | None) -> None:
        self._gateway, self._postgres = gateway, postgres
        self.generator: int | None = None
        self._names: dict[int, str] = {}

    def uses(self) -> Mapping[str, Use]:
        """Measure all that run now."""
        found = dict(self._found())
        return {name: use for name, each in found.items() if (use := _use(*each))}

    def kill(self, role: str) -> str | None:
        """End the first process of a role as the kernel would; return its name, None where there is none."""
        for name, (process,) in self._children():
            if name.partition(" ")[0] == role:
                process.send_signal(signal.SIGKILL)
                return name
        return None

    def _found(self) -> Iterator[tuple[str, tuple[psutil.Process, ...]]]:
        yield from self._children()
        if self._postgres is not None:
            yield "postgresql", _family(self._postgres)
        if self.generator is not None:
            for index, process in enumerate(_family(self.generator)):
                yield f"locust {index}", (process,)

    def _children(self) -> Iterator[tuple[str, tuple[psutil.Process]]]:
        """Yield the system's children; each role counts its own from 1."""
        if self._gateway is None:
            return
        children = {each.pid: each for each in _family(self._gateway)[1:]}
        self._names = {pid: name for pid, name in self._names.items() if pid in children}
        for pid, process in children.items():
            role = self._names.get(pid, "").partition(" ")[0] or _role(process)
            if role and pid not in self._names:
                numbers = (f"{role} {number}" for number in range(1, len(children) + 1))
                self._names[pid] = next(n for n in numbers if n not in self._names.values())
        for pid, name in sorted(self._names.items(), key=lambda item: item[1]):
            yield name, (children[pid],)


def _family(pid: int) -> tuple[psutil.Process, ...]:
    """Return a process and those below it, itself first; nobody where it is gone."""
    try:
        process = psutil.Process(pid)
        return (process, *process.children(recursive=True))
    except psutil.NoSuchProcess:
        return ()


def _role(process: psutil.Process) -> str:
    with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
        words = process.cmdline()
        server = SERVERS.get(process.name(), "")
        return server or next((role for role in ROLES if role in words), "")
    return ""


def _use(*processes: psutil.Process) -> Use | None:
    """Add up what processes use; memory that they share counts once."""
    cpu_s, own_bytes, shared_bytes = 0.0, 0, 0
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            with process.oneshot():
                times, memory = process.cpu_times(), process.memory_info()
            cpu_s += times.user + times.system
            own_bytes += memory.rss - memory.shared
            shared_bytes = max(shared_bytes, memory.shared)
    return Use(cpu_s, own_bytes + shared_bytes) if own_bytes else None
