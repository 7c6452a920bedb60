"""What goes wrong in mid-run? A table of troubles, and who makes them on time.

Instants are shares of the time in which the wave is open, so that each profile is struck in the same
places: the spike, the crowd. Whatever strikes, the verdict must hold.
"""

import contextlib
import math
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from loadtests.rehearsal.processes import Processes
from loadtests.stores import RunStore
from loadtests.system import Gateway

SLOW_OF_SECOND = 0.8  # for which the store's lock is held: a fifth of its time is left
CTL_S_MAX = 20.0
LOOK_S, BACK_S_MAX = 0.2, 60.0
START_S_MAX = 5.0  # for a front door to be started again and to be ready, on a busy machine
SNAPSHOT_S = 0.6  # older than that no board is
RAISED_BY_ONE_OF = 10


@dataclass(frozen=True, slots=True)
class Trouble:
    """One thing that goes wrong, or is done by an operator."""

    note: str
    at: float  # share of the opening time
    until: float = math.nan


TROUBLES: Mapping[str, Trouble] = {
    "kill-door": Trouble("kill -9 of one front door", 0.02),
    "slow-store": Trouble("somebody else holds the table's lock, 80 % of the time", 0.03, 0.12),
    "kill-redis": Trouble("kill -9 of Valkey; the supervisor starts it again", 0.15),
    "pause": Trouble("an operator stops admissions, and goes on", 0.25, 0.30),
    "raise-quota": Trouble("an operator raises the quota by a tenth", 0.64),
}
USUAL = ("kill-door", "slow-store", "kill-redis")


class Maker(threading.Thread):
    """Makes the troubles that are asked for, each at its time."""

    def __init__(
        self,
        names: Sequence[str],
        gateway: Gateway,
        store: RunStore,
        processes: Processes,
        *,
        opens_s: float,
        open_s: float,
        quota: int,
    ) -> None:
        super().__init__(name="trouble", daemon=True)
        self._gateway, self._store, self._processes = gateway, store, processes
        self._opens_s, self._open_s, self._quota = opens_s, open_s, quota
        self._names = sorted(names, key=lambda name: TROUBLES[name].at)
        self._stop_wanted = threading.Event()
        self.made: list[str] = []
        self.stops_s: list[tuple[float, float]] = []  # when nobody could be admitted; wall clock
        self.kills_s: list[tuple[float, float]] = []  # until it served again; from the opening
        self.log: list[tuple[float, str]] = []  # seconds from the opening, what was done

    def run(self) -> None:
        """Make one trouble after the other; those that last run beside the next."""
        makers: Mapping[str, Callable[[Trouble], bool]] = {
            "kill-door": lambda _: self._kill_door(),
            "kill-redis": lambda _: self._kill_redis(),
            "slow-store": self._slow,
            "pause": self._pause,
            "raise-quota": lambda _: self._raise(f"{raised(self._quota)}"),
        }
        threads = []
        for name in self._names:
            trouble = TROUBLES[name]
            if self._wait_until(trouble.at):
                break
            thread = threading.Thread(
                target=self._make, args=(name, trouble, makers[name]), daemon=True
            )
            thread.start()
            threads.append(thread)
        for thread in threads:
            thread.join()

    def _make(self, name: str, trouble: Trouble, make: Callable[[Trouble], bool]) -> None:
        self._say(f"{name}: {trouble.note}")
        if make(trouble):
            self.made.append(name)
        else:
            self._say(f"{name}: could not be done")

    def stop(self) -> None:
        """Make no more."""
        self._stop_wanted.set()
        self.join(CTL_S_MAX)

    def _wait_until(self, share: float) -> bool:
        """Wait; say whether it is time to stop instead."""
        due_s = self._opens_s + share * self._open_s
        return self._stop_wanted.wait(max(0.0, due_s - time.time()))

    def _say(self, what: str) -> None:
        at_s = time.time() - self._opens_s
        self.log.append((at_s, what))
        print(f"  trouble at {at_s:.0f} s from the opening: {what}", flush=True)

    def _kill(self, role: str) -> bool:
        return self._processes.kill(role) is not None

    def _kill_door(self) -> bool:
        at_s = time.time() - self._opens_s
        killed = self._kill("serve")
        if killed:
            self.kills_s.append((at_s, at_s + START_S_MAX))
        return killed

    def _kill_redis(self) -> bool:
        """Kill it, and see when somebody is admitted again."""
        before, began_s = self._admitted(), time.time()
        killed = self._kill("valkey")
        self._stop_wanted.wait(SNAPSHOT_S)  # what was admitted before is told until then
        before = admitted = max(before, self._admitted())
        while admitted <= before and time.time() - began_s < BACK_S_MAX:
            if self._stop_wanted.wait(LOOK_S):
                break
            admitted = self._admitted()
        self.stops_s.append((began_s, time.time()))
        if killed:
            self.kills_s.append((began_s - self._opens_s, time.time() - self._opens_s))
        self._say(f"kill-redis: {time.time() - began_s:.1f} s later somebody was admitted again")
        return killed

    def _admitted(self) -> int:
        with contextlib.suppress(OSError, ValueError):
            return int(self._gateway.board()["admitted"])
        return 0

    def _slow(self, trouble: Trouble) -> bool:
        ends_s = self._opens_s + trouble.until * self._open_s
        held = 0
        while time.time() < ends_s and not self._stop_wanted.is_set():
            # It may be too busy to give its lock away: so it is meant to be.
            with contextlib.suppress(Exception), self._store.held():
                held += 1
                self._stop_wanted.wait(SLOW_OF_SECOND)
            self._stop_wanted.wait(1 - SLOW_OF_SECOND)
        self._say(f"slow-store: over, held {held} times")
        return held > 0

    def _pause(self, trouble: Trouble) -> bool:
        began_s, paused = time.time(), self._ctl("pause")
        self._wait_until(trouble.until)
        resumed = self._ctl("resume")
        self.stops_s.append((began_s, time.time()))
        return paused and resumed

    def _raise(self, quota: str) -> bool:
        return self._ctl("set", f"quota={quota}", "--confirm", quota)

    def _ctl(self, *words: str) -> bool:
        credential = self._gateway.data / "secrets" / "ctl.credential"
        command = [sys.executable, "-m", "gateway", "ctl", *words, "--reason", "rehearsal"]
        command += ["--operator", self._gateway.operator_url, "--credential-file", str(credential)]
        try:
            done = subprocess.run(command, check=False, capture_output=True, timeout=CTL_S_MAX)  # noqa: S603
        except subprocess.TimeoutExpired:
            return False
        return done.returncode == 0


def raised(quota: int) -> int:
    """Return the quota after it was raised."""
    return quota + -(-quota // RAISED_BY_ONE_OF)
