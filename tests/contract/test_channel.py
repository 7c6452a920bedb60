"""A channel says definitely what became of a command, and no answer ever reaches another caller."""

import asyncio
import random
import resource
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.ports import OutcomeUnknownError, PortUnavailableError, RoomMissingError
from gateway.redis.batch import Batcher
from gateway.redis.channel import TIMED, Channel
from gateway.redis.keys import room_keys
from tests.faults_proxy import Faults, relay


@pytest.fixture
async def faulty(valkey_socket: Path) -> AsyncIterator[tuple[Channel, Faults]]:
    front = Path(tempfile.mkdtemp(prefix="gw")) / "s"
    async with relay(front, valkey_socket) as faults:
        channel = Channel(f"unix://{front}", deadline_s=0.3)
        yield channel, faults
        await channel.close()


async def test_every_reply_carries_its_callers_nonce(faulty: tuple[Channel, Faults]) -> None:
    """I-41, with a third of the callers cancelled at random moments."""
    channel, faults = faulty
    faults.delay_s = 0.001
    seed = random.randrange(2**32)
    print(f"seed {seed}")  # noqa: T201  how to repeat it
    rng = random.Random(seed)
    answered = 0

    async def ask(nonce: int) -> None:
        nonlocal answered
        assert await channel.command("ECHO", str(nonce)) == str(nonce).encode()
        answered += 1

    tasks = [asyncio.create_task(ask(nonce)) for nonce in range(600)]
    for task in tasks:
        if rng.random() < 1 / 3:
            await asyncio.sleep(rng.uniform(0, 0.004))  # cancelled somewhere on the way
            task.cancel()
    done = await asyncio.gather(*tasks, return_exceptions=True)
    assert [e for e in done if isinstance(e, Exception)] == []
    assert answered >= 300


async def test_a_server_that_is_not_there_is_told_at_once_and_probed_once_a_second() -> None:
    channel = Channel("unix:///nonexistent/socket", deadline_s=1.0)
    began_s = time.monotonic()
    for _ in range(50):
        with pytest.raises(PortUnavailableError):
            await channel.command("PING")
    assert time.monotonic() - began_s < 0.5


async def test_a_command_without_an_answer_is_unknown_and_its_connection_is_not_used_again(
    faulty: tuple[Channel, Faults],
) -> None:
    channel, faults = faulty
    assert await channel.command("PING") == b"PONG"
    faults.hang = True
    began_s = time.monotonic()
    with pytest.raises(OutcomeUnknownError):
        await channel.command("SET", "lost", "1")
    assert time.monotonic() - began_s < 0.6
    faults.hang = False
    assert await channel.command("GET", "lost") == b"1"  # it had been done


async def test_a_cut_reply_is_unknown(faulty: tuple[Channel, Faults]) -> None:
    channel, faults = faulty
    await channel.command("PING")
    faults.cut_replies = True
    with pytest.raises(OutcomeUnknownError):
        await channel.command("PING")
    faults.cut_replies = False
    assert await patient(channel, "PING") == b"PONG"


async def test_scripts_run_where_no_descriptor_is_left(faulty: tuple[Channel, Faults]) -> None:
    """I-45: a front door at its limit serves whom it has; no file is opened on their way."""
    channel, _ = faulty
    keys = room_keys("gw", "none", "none")
    with pytest.raises(RoomMissingError):
        await channel.run("tick", keys, ["", 0, ""])
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, before[1]))
    try:
        with pytest.raises(RoomMissingError):
            await channel.run("claim", keys, [""])
        await channel.close()
        with pytest.raises(PortUnavailableError):  # not before it wants a socket
            await channel.command("PING")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


async def test_round_trips_are_timed_by_script_until_the_answer_or_the_deadline(
    valkey_socket: Path,
) -> None:
    timed: list[tuple[str, float]] = []
    before = TIMED.set(lambda name, took_s: timed.append((name, took_s)))
    front = Path(tempfile.mkdtemp(prefix="gw")) / "s"
    async with relay(front, valkey_socket) as faults:
        channel = Channel(f"unix://{front}", deadline_s=0.2)
        TIMED.reset(before)
        faults.delay_s = 0.05
        with pytest.raises(RoomMissingError):
            await channel.run("claim", room_keys("gw", "none", "none"), [""])
        await channel.command("PING")
        await channel.command("BLPOP", "never", "0.1", deadline_s=1.0)  # is meant to wait
        faults.hang = True
        with pytest.raises(OutcomeUnknownError):
            await channel.command("PING")
        await channel.close()
    assert {name for name, _ in timed[:-2]} == {"claim"}  # twice where it had to be loaded
    assert [name for name, _ in timed[-2:]] == ["other", "other"]
    assert all(0.05 <= took_s < 0.2 for _, took_s in timed[:-1])
    assert 0.2 <= timed[-1][1] < 1.0


async def patient(channel: Channel, *parts: str) -> bytes:
    """Ask again for as long as the channel probes a server that was away."""
    async with asyncio.timeout(5):
        while True:
            try:
                return bytes(await channel.command(*parts))
            except PortUnavailableError as error:
                await asyncio.sleep(error.retry_after_s)


async def test_one_call_answers_many_and_the_next_batch_collects_meanwhile() -> None:
    batches: list[int] = []
    gate = asyncio.Event()

    async def send(items: list[int]) -> list[int]:
        batches.append(len(items))
        await gate.wait()
        return [item * 2 for item in items]

    batcher: Batcher[int, int] = Batcher(send, batch_max=100, pending_max=1_000)  # type: ignore[arg-type]
    tasks = [asyncio.create_task(batcher.ask(n)) for n in range(10)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    tasks += [asyncio.create_task(batcher.ask(n)) for n in range(10, 250)]
    await asyncio.sleep(0)
    gate.set()
    assert await asyncio.gather(*tasks) == [n * 2 for n in range(250)]
    assert batches == [10, 100, 100, 40]
    assert batcher.pending_count == 0


async def test_the_pending_list_is_bounded_and_a_failure_reaches_every_caller() -> None:
    async def send(items: list[int]) -> list[int]:
        raise PortUnavailableError("down")

    batcher: Batcher[int, int] = Batcher(send, batch_max=10, pending_max=20)  # type: ignore[arg-type]
    done = await asyncio.gather(*(batcher.ask(n) for n in range(30)), return_exceptions=True)
    assert all(isinstance(error, PortUnavailableError) for error in done)
    assert sum("waiting" in str(error) for error in done) == 10


async def test_a_cancelled_caller_takes_nobody_with_it() -> None:
    async def send(items: list[int]) -> list[int]:
        await asyncio.sleep(0)
        return list(items)

    batcher: Batcher[int, int] = Batcher(send, batch_max=10, pending_max=20)  # type: ignore[arg-type]
    tasks = [asyncio.create_task(batcher.ask(n)) for n in range(3)]
    await asyncio.sleep(0)
    tasks[1].cancel()
    done = await asyncio.gather(*tasks, return_exceptions=True)
    assert done[0] == 0
    assert isinstance(done[1], asyncio.CancelledError)
    assert done[2] == 2
