"""What would the real scripts decide? The same world on a server of its own, with the simulated clock.

The scripts read ``TIME`` in one line of their prelude; here that line reads a key instead, and nothing
else is changed. The server keeps nothing on disk: what scripts decide does not hang on it.
"""

import contextlib
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import redis
from redis.backoff import ConstantBackoff
from redis.retry import Retry

from gateway.core.passes import EXTENSIONS_MAX, Answer
from gateway.core.room import Room
from gateway.core.snapshot import Snapshot
from gateway.redis.keys import room_keys
from gateway.redis.lua import load
from gateway.redis.room import read_snapshot
from gateway.redis.wave import GROUP, policy_numbers, policy_text
from gateway.simulation.worlds import proposed
from gateway.valkey import find_server

KEYS = room_keys("sim", "simulation", "simulated")
INTAKE = KEYS[9]
CLOCK = "clock"
PROBE_S, PROBES_MAX = 0.02, 500  # until the server answers


@contextlib.contextmanager
def server() -> Iterator["redis.Redis"]:
    """Run a server of our own until the end of the block.

    Raises:
        ValkeyError: there is none on this machine.

    """
    with tempfile.TemporaryDirectory(prefix="gateway-sim-") as folder:
        socket = Path(folder, "socket")
        options = {"port": "0", "unixsocket": str(socket), "dir": folder, "save": ""}
        options |= {"appendonly": "no", "logfile": f"{folder}/log"}
        command = [part for name, value in options.items() for part in (f"--{name}", value)]
        process = subprocess.Popen([str(find_server()), *command])  # noqa: S603  our own server
        client = redis.Redis(
            unix_socket_path=str(socket), retry=Retry(ConstantBackoff(PROBE_S), PROBES_MAX)
        )
        try:
            client.ping()
            client.set_retry(Retry(ConstantBackoff(0), 0))  # no script may run twice
            yield client
        finally:
            client.close()
            process.kill()
            process.wait()


class ScriptedWorld:
    """A room in Redis, made anew, changed by the scripts and nothing else."""

    def __init__(self, client: "redis.Redis", room: Room) -> None:
        if room.issued:
            raise ValueError("the scripts begin with a new room")
        self._client = client
        self._scripts = {
            name: client.register_script(_with_clock(load(name).text))
            for name in ("create", "tick", "join", "claim", "extend", "leave", "accept", "settle")
        }
        self._fence = ""
        client.flushall()
        times = (room.prequeue_at_us, room.opens_at_us, room.closes_at_us)
        document = [policy_text(room.policy), *policy_numbers(room.policy)]
        self._run("create", room.last_us, room.epoch, GROUP, *times, *document)

    def tick(self, now_us: int, seen: Sequence[int]) -> Snapshot:
        snapshot = read_snapshot(self._run("tick", now_us, self._fence, now_us, "", *seen))
        self._fence = f"{snapshot.epoch}:{snapshot.issued}:{snapshot.accepted}"
        return snapshot

    def join(self, now_us: int, count: int) -> int | None:
        answer = self._run("join", now_us, self._fence, count)
        return int(answer[1]) if answer[0] == b"joined" else None

    def claim(self, now_us: int, pairs: Sequence[tuple[int, int]]) -> list[Answer]:
        flat = [part for pair in pairs for part in pair]
        answers = self._run("claim", now_us, self._fence, *flat)
        return [Answer(word.decode(), *numbers) for word, *numbers in answers]

    def extend(self, now_us: int, number: int, serial: int) -> Answer:
        [[word, instant_us]] = self._run(
            "extend", now_us, self._fence, number, serial, EXTENSIONS_MAX
        )
        return Answer(word.decode(), instant_us=instant_us)

    def leave(self, now_us: int, number: int, position: int | None) -> Answer:
        place = -1 if position is None else position
        [word] = self._run("leave", now_us, self._fence, number, place)
        return Answer(word.decode())

    def accept(self, now_us: int, number: int, serial: int, person: int) -> Answer:
        record = proposed(number, serial, person)
        item = (number, serial, record.receipt, record.person.hex(), record.content.hex(), b"{}")
        [word, receipt, at_us], _ = self._run("accept", now_us, self._fence, "simulated", *item)
        return Answer(word.decode(), receipt=receipt.decode(), instant_us=at_us)

    def deliver(self, now_us: int, count: int) -> None:
        read: Any = self._client.xreadgroup(GROUP, "simulation", {INTAKE: ">"}, count=count)
        rows = [
            (entry, values[b"receipt"], "recorded", "")
            for _, entries in read or []
            for entry, values in entries
        ]
        if rows:
            flat = [part for row in rows for part in row]
            self._run("settle", now_us, self._fence, GROUP, *flat)

    def _run(self, name: str, now_us: int, *args: Any) -> Any:
        self._client.set(CLOCK, now_us)
        return self._scripts[name](keys=list(KEYS), args=list(args))


def _with_clock(text: str) -> str:
    """Return a script whose clock is a key."""
    return text.replace("redis.call('TIME')", f"{{0, redis.call('GET', '{CLOCK}')}}")
