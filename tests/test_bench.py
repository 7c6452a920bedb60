"""The bench says what is so: sound scripts reach every figure, and each seeded bug misses the one it must."""

import asyncio
import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.redis.keys import room_keys
from loadtests.bench import admission, waiting
from loadtests.bench.__main__ import GROUPS
from loadtests.bench.crowd import live
from loadtests.bench.delivering import delivered_s, entry, fill
from loadtests.bench.generator import Server, Shot, fire, post
from loadtests.bench.rows import Measured, Row, Wanted, keep, table
from loadtests.bench.server import durable_server, quick_server
from loadtests.bench.stores import BENCHES

SHORT = replace(admission.QUICK, rate_per_s=40.0, burst=4, seconds=27.0, people_min=1_500)
CALLED_BY_RATE = """
    local elapsed_us = math.max(0, room.last_us - room.opens_at_us)
    room.called = math.min(room.issued, math.floor(room.rate_milli_per_s * elapsed_us / 1e9))
"""
WINDOWS, BURST, OVERTAKEN, LATE = range(4)


def test_a_figure_is_reached_when_every_sample_is_in_its_range() -> None:
    assert Wanted(0.98, 1.02).holds([0.98, 1.0, 1.02])
    assert not Wanted(0.98, 1.02).holds([1.0, 1.0, 1.021])
    assert not Wanted(low=2.0).holds([1.9, 2.0])
    assert Wanted(high=2.0, by_median=True).holds([1.0, 1.5, 9.0])


def test_what_was_not_measured_was_not_reached() -> None:
    assert not Wanted(high=1.0).holds([])
    assert not Wanted(high=1.0, by_median=True).holds([])


def test_the_table_and_the_file_tell_the_same(tmp_path: Path) -> None:
    measured = [
        Measured("a", Row("kept", Wanted(high=5.0), list), [1.0, 3.0, 2.0]),
        Measured("a", Row("missed", Wanted(0.5, 1.5), list), [2.0]),
        Measured("b", Row("empty", Wanted(low=1.0), list), []),
    ]
    keep(measured, tmp_path / "build" / "bench.json", quick=True)
    kept = json.loads((tmp_path / "build" / "bench.json").read_text())["rows"]
    assert [row["reached"] for row in kept] == [True, False, False]
    assert [row["median"] for row in kept] == [2.0, 2.0, None]
    lines = table(measured).splitlines()
    assert lines[1].split() == ["a:", "kept", "<=", "5", "2", "1", "3", "reached"]
    assert [line.split()[-1] for line in lines[1:]] == ["reached", "MISSED", "MISSED"]


def test_a_limit_besides_the_measured_is_told_and_kept(tmp_path: Path) -> None:
    row = Row("by the clock", Wanted(low=1.0), list, lambda: "generator (place)")
    measured = [Measured("a", row, [2.0], row.limit())]
    assert table(measured).endswith("reached; limit: generator (place)")
    keep(measured, tmp_path / "build" / "bench.json", quick=False)
    (kept,) = json.loads((tmp_path / "build" / "bench.json").read_text())["rows"]
    assert kept["limit"] == "generator (place)"


def test_who_was_the_limit_is_whoever_had_no_time_left() -> None:
    shot = Shot([], wall_s=1.0, server_s=0.95, client_s=0.95)
    assert shot.limit == "server"
    assert replace(shot, server_s=0.5).limit == "generator"
    assert replace(shot, server_s=0.5, client_s=0.5).limit == "machine"


def test_every_row_has_a_name_of_its_own() -> None:
    for group in GROUPS.values():
        for quick in (True, False):
            names = [row.name for row in group(quick)]
            assert names
            assert len(names) == len(set(names))


@pytest.mark.parametrize("share", [0.0, 0.7])
def test_sound_scripts_admit_at_the_rate_and_in_order(share: float) -> None:
    for row in admission.rows_at(share, SHORT):
        assert row.wanted.holds(row.measure()), row.name


BUGS: dict[
    str, tuple[Any, ...]
] = {  # bug -> the row that it misses, and what to put in place of what
    "called advances by the rate alone": (
        WINDOWS,
        ("    room.called = advance(room)\n", CALLED_BY_RATE),
    ),
    "absentees are never passed over": (
        WINDOWS,
        ("math.max(room.ripe, room.called)", "room.called"),
    ),
    "the bucket starts more than full": (
        BURST,
        ("room.clock_us, 0\n", "room.clock_us, 4 * room.burst * TOKEN\n"),
        (
            "math.min(level, room.burst * TOKEN)",
            "math.min(level, math.max(room.level, room.burst * TOKEN))",
        ),
    ),
    "the burst is not clamped": (BURST, ("math.min(level, room.burst * TOKEN)", "level")),
    "those behind are served first": (
        OVERTAKEN,
        ("if room.level < tokens_asked(room, rank) * TOKEN", "if room.level < TOKEN or rank < 40"),
    ),
}


@pytest.mark.parametrize("bug", BUGS)
def test_a_seeded_bug_misses_its_figure(bug: str) -> None:
    index, *changes = BUGS[bug]
    patched = set()

    def patch(text: str) -> str:
        for sound, broken in changes:
            if sound in text:
                patched.add(sound)
            text = text.replace(sound, broken)
        return text

    row = admission.rows_at(0.7, SHORT, patch)[index]
    assert not row.wanted.holds(row.measure())
    assert len(patched) == len(changes), "the bug was seeded in no script"


def test_late_ones_that_are_served_last_are_noticed() -> None:
    with quick_server() as client:
        story = live(client, replace(SHORT, no_show_share=0.7))
    late = next(position for _, position in story.passes if position in story.arrived)
    index = next(i for i, (_, position) in enumerate(story.passes) if position == late)
    instant_us = story.passes[-1][0]
    story.passes = [*story.passes[:index], *story.passes[index + 1 :], (instant_us, late)]
    wanted = admission.rows_at(0.7, SHORT)[LATE].wanted
    assert not wanted.holds(admission.overtakes_of_late(story))


def test_waiting_costs_a_byte_and_ticks_and_claims_are_short_at_ten_million() -> None:
    for row in waiting.rows(quick=True):
        best = min(row.measure())  # others may use this machine while tests run
        assert row.wanted.holds([best]), row.name


def test_the_generator_brings_every_answer_back_in_the_order_of_its_requests() -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readuntil(b"\r\n\r\n"):
            path = head.split()[1]
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(path))
            await asyncio.sleep(0)  # head and body come apart
            writer.write(path)

    with served(echo) as port:
        shot = fire(Server(port, os.getpid()), [post(f"/{n}") for n in range(500)])
    assert [answer.body.decode() for answer in shot.answers] == [f"/{n}" for n in range(500)]
    assert {answer.status for answer in shot.answers} == {200}


def test_a_server_that_hangs_up_is_no_measurement() -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.close()

    with served(hang_up) as port, pytest.raises(OSError):
        fire(Server(port, os.getpid()), [post("/")])


@contextmanager
def served(handle: Callable[..., Any]) -> Iterator[int]:
    """Serve in a thread of its own; yield the port."""
    with asyncio.Runner() as runner:
        loop = runner.get_loop()
        server = runner.run(_started(handle))
        thread = threading.Thread(target=loop.run_forever)
        thread.start()
        yield server.sockets[0].getsockname()[1]
        asyncio.run_coroutine_threadsafe(_ended(server), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


async def _ended(server: asyncio.Server) -> None:
    """Have every connection come to its end."""
    server.close()
    await asyncio.gather(*(asyncio.all_tasks() - {asyncio.current_task()}))


async def _started(handle: Callable[..., Any]) -> asyncio.Server:
    async def quietly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError):
            await handle(reader, writer)
        writer.close()
        await writer.wait_closed()

    return await asyncio.start_server(quietly, "127.0.0.1", 0)


def test_all_that_was_accepted_is_delivered_before_the_clock_stops() -> None:
    with BENCHES["SQLite"]() as bench, durable_server() as (client, socket):
        wave = fill(client, [entry(number) for number in range(700)])
        asyncio.run(delivered_s(bench, socket, wave, 700))
        room = room_keys("bench", "bench", "bench-1")[0]
        assert client.hmget(room, "accepted", "recorded") == [b"700", b"700"]
