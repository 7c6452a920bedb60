"""How much has each process worked? Read from the kernel, at the moment of the scrape.

Whoever counts keeps a file in the directory of the metrics, and the file bears its process's number: so
whichever process is scraped knows all of its machine, and none of them has to report.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from prometheus_client.core import CounterMetricFamily

from gateway.measures import CPU

USER, SYSTEM = 11, 12  # fields of /proc/<pid>/stat behind the name, see proc(5)
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


class ProcessFamily:
    """Makes the family of the processes that live."""

    def __init__(self, directory: Path) -> None:
        self._pids = sorted({path.stem.rpartition("_")[2] for path in directory.glob("*.db")})

    def collect(self) -> Iterator[CounterMetricFamily]:
        """Return what each has used so far."""
        family = CounterMetricFamily(CPU.name, CPU.meaning, labels=CPU.labels)
        for pid in self._pids:
            used_s = cpu_s(pid)
            if used_s is not None:
                family.add_metric([pid], used_s)
        yield family


def cpu_s(pid: str) -> float | None:
    """Return the processor time that a process has used so far; None: it is gone."""
    try:
        text = Path("/proc", pid, "stat").read_text("utf-8", errors="replace")
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()  # a name may hold anything, brackets too
    return (int(fields[USER]) + int(fields[SYSTEM])) / TICKS_PER_S
