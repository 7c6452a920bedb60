"""The order in which children start and end."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

from gateway.children import Child, GaveUpError, Spec
from gateway.fleet import Fleet
from tests.support import wait_until

RECORDER = """
import os, signal, sys
path, name, lag_s = sys.argv[1], sys.argv[2], float(sys.argv[3])
def record(what):
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(descriptor, f"{what} {name}\\n".encode())
    os.close(descriptor)
def end(*_):
    signal.setitimer(signal.ITIMER_REAL, lag_s)
def leave(*_):
    record("end")
    os._exit(0)
signal.signal(signal.SIGALRM, leave)
signal.signal(signal.SIGTERM, end)
record("start")
while True:
    signal.pause()
"""


class Stage:
    """Children that record when they start and end."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "record"
        self.path.touch()
        self.said: list[str] = []

    @property
    def record(self) -> list[str]:
        return self.path.read_text().splitlines()

    def child(self, name: str, *, lag_s: float = 0.01, code: str = RECORDER) -> Child:
        async def ready(_pid: int) -> bool:
            await wait_until(lambda: f"start {name}" in self.record)
            return True

        command = [sys.executable, "-S", "-c", code, str(self.path), name, str(lag_s)]
        return Child(Spec(name, command, os.environ, ready, stop_s=5), self.said.append)


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


async def test_stages_start_one_after_another_and_end_in_their_own_order(stage: Stage) -> None:
    server, delivery = stage.child("server"), stage.child("delivery", lag_s=0.2)
    doors = [stage.child("door-1"), stage.child("door-2", lag_s=0.2)]
    fleet = Fleet(starts=[[server], [*doors, delivery]], stops=[doors, [delivery], [server]])
    ready: list[list[str]] = []

    def on_ready() -> None:
        ready.append(stage.record)
        fleet.stop()

    await fleet.run(on_ready)
    assert len(ready[0]) == 4
    assert stage.record[0] == "start server"
    ends = [line for line in stage.record if line.startswith("end")]
    assert set(ends[:2]) == {"end door-1", "end door-2"}
    assert ends[2:] == ["end delivery", "end server"]
    assert stage.said == []


async def test_a_stop_while_starting_starts_nothing_more(stage: Stage) -> None:
    server, door = stage.child("server"), stage.child("door")
    fleet = Fleet(starts=[[server], [door]], stops=[[door], [server]])
    fleet.stop()
    await fleet.run(lambda: pytest.fail("it was never ready"))
    assert "start door" not in stage.record


async def test_a_second_stop_ends_everything_at_once(stage: Stage) -> None:
    door, server = stage.child("door", lag_s=60), stage.child("server", lag_s=60)
    fleet = Fleet(starts=[[server], [door]], stops=[[door], [server]])

    def on_ready() -> None:
        fleet.stop()
        asyncio.get_running_loop().call_soon(fleet.stop)

    await asyncio.wait_for(fleet.run(on_ready), 4)
    assert door.pid is None
    assert server.pid is None


async def test_one_that_gives_up_takes_the_others_down_in_order(stage: Stage) -> None:
    server = stage.child("server")
    door = stage.child("door", code="raise SystemExit(78)")
    fleet = Fleet(starts=[[server], [door]], stops=[[door], [server]])
    with pytest.raises(GaveUpError, match=r"^door refused its configuration$"):
        await fleet.run(lambda: pytest.fail("it was never ready"))
    assert stage.record == ["start server", "end server"]


async def test_an_empty_stage_keeps_nobody_waiting(stage: Stage) -> None:
    door = stage.child("door")
    fleet = Fleet(starts=[[], [door]], stops=[[door], []])
    await fleet.run(fleet.stop)
    assert stage.record == ["start door", "end door"]
