"""Children are real processes here: small Python programs that stand in for ours."""

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from gateway.children import Child, GaveUpError, ReadySocket, Spec
from gateway.restarts import REFUSED
from tests.support import wait_until

READY = "import os; from gateway.notify import notify; notify(os.environ)\n"
STAY = "import signal; signal.pause()\n"
DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="gw") as name:  # socket paths have to be short
        yield Path(name)


@pytest.fixture
async def ready_socket(folder: Path) -> AsyncIterator[ReadySocket]:
    ready_socket = ReadySocket(folder / "ready.sock")
    yield ready_socket
    ready_socket.close()


def child(code: str, ready_socket: ReadySocket, said: list[str], stop_s: float = 5.0) -> Child:
    environ = {**os.environ, "NOTIFY_SOCKET": str(ready_socket.path)}
    command = [sys.executable, "-c", code]
    return Child(Spec("door", command, environ, ready_socket.wait, stop_s), said.append)


def is_running(pid: int | None) -> bool:
    assert pid
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


async def test_a_child_is_ready_when_it_says_so_itself(ready_socket: ReadySocket) -> None:
    one = child(READY + STAY, ready_socket, [])
    other = child(STAY, ready_socket, [])
    one.start()
    other.start()
    await asyncio.wait_for(one.was_ready.wait(), 10)
    assert not other.was_ready.is_set()
    await asyncio.gather(one.stop(), other.stop())


async def test_a_killed_child_is_back_within_a_second(ready_socket: ReadySocket) -> None:
    said: list[str] = []
    one = child(READY + STAY, ready_socket, said)
    one.start()
    await asyncio.wait_for(one.was_ready.wait(), 10)
    first = one.pid
    assert first
    one.was_ready.clear()
    os.kill(first, signal.SIGKILL)
    killed_s = time.monotonic()
    await wait_until(lambda: one.pid not in {None, first}, timeout_s=1, what="another process")
    await asyncio.wait_for(one.was_ready.wait(), 10)
    assert time.monotonic() - killed_s < 5  # one second on an idle machine
    assert said == ["door was ended by SIGKILL; starts again at once"]
    await one.stop()
    assert one.pid is None


async def test_a_child_is_renewed_by_one_that_is_ready_before_the_old_one_ends(
    ready_socket: ReadySocket,
) -> None:
    said: list[str] = []
    one = child(READY + STAY, ready_socket, said)
    one.start()
    await asyncio.wait_for(one.was_ready.wait(), 10)
    first = one.pid
    assert await one.renew()
    assert one.pid not in {None, first}
    assert not is_running(first)
    assert is_running(one.pid)
    assert said == []
    await one.stop()
    assert one.pid is None


async def test_a_child_whose_successor_does_not_get_ready_goes_on(
    ready_socket: ReadySocket, folder: Path
) -> None:
    said: list[str] = []
    flag = folder / "flag"
    code = f"import pathlib, sys\nif pathlib.Path({str(flag)!r}).exists(): sys.exit(3)\n"
    one = child(code + READY + STAY, ready_socket, said)
    one.start()
    await asyncio.wait_for(one.was_ready.wait(), 10)
    first = one.pid
    flag.touch()
    assert not await one.renew()
    assert one.pid == first
    assert is_running(first)
    assert said == ["door was not renewed: the new process did not get ready"]
    await one.stop()


async def test_an_old_process_that_does_not_end_is_killed_for_its_successor(
    ready_socket: ReadySocket,
) -> None:
    one = child(DEAF + READY + STAY, ready_socket, [], stop_s=0.3)
    one.start()
    await asyncio.wait_for(one.was_ready.wait(), 10)
    first = one.pid
    assert await one.renew()
    assert not is_running(first)
    assert is_running(one.pid)
    await one.stop()


async def test_a_stop_in_the_middle_of_a_renewal_leaves_nobody_behind(
    ready_socket: ReadySocket,
) -> None:
    one = child(READY + STAY, ready_socket, [])
    one.start()
    await asyncio.wait_for(one.was_ready.wait(), 10)
    renewing = asyncio.create_task(one.renew())
    await asyncio.sleep(0)
    await one.stop()
    assert not await renewing
    assert one.pid is None


async def test_a_child_that_refuses_its_configuration_is_not_started_again(
    ready_socket: ReadySocket,
) -> None:
    said: list[str] = []
    one = child(f"raise SystemExit({REFUSED})", ready_socket, said)
    with pytest.raises(GaveUpError, match=r"^door refused its configuration$"):
        await one.start()
    assert said == []


async def test_a_child_that_never_gets_ready_is_given_up_with_its_explanation(
    ready_socket: ReadySocket,
) -> None:
    said: list[str] = []
    spec = Spec(
        "door",
        [sys.executable, "-S", "-c", "raise SystemExit(3)"],
        os.environ,
        ready_socket.wait,
        stop_s=1,
        explain=lambda: "; its log says why",
    )
    with pytest.raises(GaveUpError, match=r"^door ended 5 times before .*; its log says why$"):
        await Child(spec, said.append).start()
    assert len(said) == 4
    assert said[0] == "door ended with code 3; starts again at once"


async def test_a_child_whose_probe_says_never_is_killed(ready_socket: ReadySocket) -> None:
    async def never(_pid: int) -> bool:
        return False

    said: list[str] = []
    spec = Spec("door", [sys.executable, "-c", STAY], os.environ, never, stop_s=1)
    with pytest.raises(GaveUpError):
        await Child(spec, said.append).start()
    assert said[0] == "door was ended by SIGKILL; starts again at once"


async def test_stopping_waits_for_the_end_and_kills_what_does_not_listen(
    ready_socket: ReadySocket,
) -> None:
    said: list[str] = []
    one = child(DEAF + READY + "while True: signal.pause()", ready_socket, said, stop_s=0.3)
    task = one.start()
    await asyncio.wait_for(one.was_ready.wait(), 10)
    await one.stop()
    assert said == ["door did not end within 0.3 s; killed"]
    assert one.pid is None
    await task


async def test_stopping_a_child_that_waits_for_its_restart_does_not_start_it(
    ready_socket: ReadySocket,
) -> None:
    said: list[str] = []
    one = child("raise SystemExit(1)", ready_socket, said)
    task = one.start()
    await wait_until(lambda: any(line.endswith("in 0.5 s") for line in said))
    started_s = time.monotonic()
    await one.stop()
    await task
    assert time.monotonic() - started_s < 0.4
    assert one.pid is None


async def test_stopping_while_a_process_is_being_made_leaves_none_behind(
    ready_socket: ReadySocket,
) -> None:
    one = child(STAY, ready_socket, [])
    task = one.start()
    await one.stop()  # not one step of the task has run yet
    await task
    assert one.pid is None


async def test_a_child_that_was_never_started_stops_at_once(ready_socket: ReadySocket) -> None:
    await child(STAY, ready_socket, []).stop()


async def test_words_that_are_no_readiness_are_ignored(ready_socket: ReadySocket) -> None:
    waiting = asyncio.create_task(ready_socket.wait(os.getpid()))
    await asyncio.sleep(0)
    for words in (b"", b"\xff\xfe", b"READY=1", b"READY=1\nMAINPID=x", b"READY=0\nMAINPID=1"):
        ready_socket._socket.connect(str(ready_socket.path))
        ready_socket._socket.send(words)
        ready_socket._hear()
    assert not waiting.done()
    waiting.cancel()


def test_children_die_with_a_supervisor_that_is_killed(folder: Path) -> None:
    pid_file = folder / "pid"
    code = f"""
import asyncio, os, sys
from gateway.children import Child, Spec
async def ready(pid):
    open({str(pid_file)!r} + "~", "w").write(str(pid))
    os.rename({str(pid_file)!r} + "~", {str(pid_file)!r})
    return True
spec = Spec("door", [sys.executable, "-c", {DEAF + STAY!r}], os.environ, ready, 5)
async def main():
    await Child(spec, print).start()
asyncio.run(main())
"""
    supervisor = subprocess.Popen([sys.executable, "-c", code])

    async def check() -> None:
        await wait_until(pid_file.exists, what="the child runs")
        pid = int(pid_file.read_text())
        assert is_running(pid)
        supervisor.kill()
        supervisor.wait()
        await wait_until(lambda: not is_running(pid), what="the child is gone")

    asyncio.run(check())
