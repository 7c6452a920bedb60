"""The open loop keeps its clock whatever the server does, and each seeded fault misses its figure."""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from itertools import repeat
from pathlib import Path
from random import Random

import pytest

from gateway.core.shedding import Rank, Signals
from gateway.web.lane_acts import ActRoute
from gateway.web.problems import ProblemStyle
from loadtests.goodput import chart
from loadtests.goodput.connections import ANSWER_S_MAX, Connections
from loadtests.goodput.crowd import Crowd
from loadtests.goodput.forms import forms_of
from loadtests.goodput.servers import MIDDLEWARE, NONE, OURS
from loadtests.goodput.stand_in import OPEN, SEAMS, OpenGate, shed_by_middleware
from loadtests.goodput.steps import DEADLINE_S, Step, good, quantile, rates_per_s, regained_s
from loadtests.goodput.verdict import UNLOADED, Findings, doubts, figures
from loadtests.goodput.way import (
    DRIP_S,
    FLIGHTY_SHARE,
    HASTY_SHARE,
    HASTY_TRIES,
    SLOW_SHARE,
    Answer,
    Ask,
    Habit,
    Manner,
    habit_of,
    request,
    way,
)
from tests.support import wait_until
from tests.web.house import House
from tests.web.wire import ask, serving

BODIES = {
    "join": b'{"ticket":"T","number":7,"phase":"open","poll_s":1.0}',
    "claim": b'{"pass":"P","expires_at":"x"}',
    "form": b"{}",
    "registration": b'{"receipt":"R","state":"received"}',
    "receipt": b'{"receipt":"R"}',
}
CALLED = b'{"state":"called","poll_s":1.0}'
WAITING = b'{"state":"waiting","poll_s":1.6}'
BUSY = b'{"type":"https://x/problems/overloaded","title":"t","retry_in_ms":4000}'
OBEYING, HASTY, FLIGHTY, SLOW = 0.5, 0.0, HASTY_SHARE, HASTY_SHARE + FLIGHTY_SHARE


class Fixed(Random):
    """Dice that always show the same."""

    def __init__(self, shown: float) -> None:
        super().__init__(0)
        self.shown = shown

    def random(self) -> float:
        return self.shown


@dataclass
class Led:
    """One applicant before a server that is told what to answer."""

    asked: list[Ask] = field(default_factory=list)
    waited: list[float] = field(default_factory=list)
    acknowledged: list[tuple[float, float]] = field(default_factory=list)
    ended_by: list[str] = field(default_factory=list)
    now_s: float = 100.0

    def registered(self, due_s: float, at_s: float) -> None:
        self.acknowledged.append((due_s, at_s))

    def ended(self, how: str) -> None:
        self.ended_by.append(how)

    def lead(self, dice: float, says: Callable[[Ask], tuple[int, bytes]]) -> None:
        applicant, answer = way(b"{}", Fixed(dice), self), None
        while True:
            try:
                step = applicant.send(answer)  # type: ignore[arg-type]
            except StopIteration:
                return
            answer = None
            if isinstance(step, Ask):
                self.asked.append(step)
                status, body = says(step)
                answer = Answer(status, body, self.now_s, self.now_s + 0.01)
                self.now_s += 0.01
            else:
                self.waited.append(step)
                self.now_s += step

    @property
    def names(self) -> list[str]:
        return [ask.name for ask in self.asked]


def sound(places: Iterator[bytes]) -> Callable[[Ask], tuple[int, bytes]]:
    def says(ask: Ask) -> tuple[int, bytes]:
        return (200, next(places)) if ask.name == "place" else (201, BODIES[ask.name])

    return says


def refusing(*names: str, times: int) -> Callable[[Ask], tuple[int, bytes]]:
    left, otherwise = dict.fromkeys(names, times), sound(repeat(CALLED))

    def says(ask: Ask) -> tuple[int, bytes]:
        if left.get(ask.name, 0) and ask.manner is not Manner.ABANDONED:
            left[ask.name] -= 1
            return 503, BUSY
        return otherwise(ask)

    return says


def test_an_applicant_goes_its_whole_way_with_what_it_was_given() -> None:
    led = Led()
    led.lead(OBEYING, sound(iter([WAITING, CALLED])))
    assert led.names == ["join", "place", "place", "claim", "form", "registration", "receipt"]
    assert len(led.acknowledged) == 1
    assert b"Cookie" not in led.asked[0].data
    assert b"ticket.load-1=T\r\n" in led.asked[1].data
    assert b"ticket.load-1=T; pass.load-1=P\r\n" in led.asked[5].data
    assert led.asked[5].data.endswith(b"Content-Length: 2\r\n\r\n{}")
    assert led.asked[6].data.startswith(b"GET /v1/registrations/R ")


def test_who_obeys_leaves_when_refused_at_the_door_and_waits_when_refused_further_on() -> None:
    led = Led()
    led.lead(OBEYING, refusing("join", times=1))
    assert (led.names, led.ended_by) == (["join"], ["join refused"])
    led = Led()
    led.lead(OBEYING, refusing("claim", times=2))
    assert led.waited[:2] == [4.0, 4.0]
    assert led.acknowledged


def test_the_hasty_try_again_at_once_so_many_times_and_no_more() -> None:
    led = Led()
    led.lead(HASTY, refusing("join", times=99))
    assert led.names == ["join"] * (HASTY_TRIES + 1)
    assert led.waited == []
    led = Led()
    led.lead(HASTY, refusing("claim", times=HASTY_TRIES + 1))
    assert led.names.count("claim") == HASTY_TRIES + 2
    assert led.waited[0] == 4.0
    assert led.acknowledged


def test_time_is_counted_from_the_first_try() -> None:
    led = Led()
    led.lead(OBEYING, refusing("registration", times=1))
    [(due_s, at_s)] = led.acknowledged
    assert at_s - due_s > 4.0
    assert good(led.acknowledged) == []


def test_the_flighty_hang_up_once_at_every_step() -> None:
    led = Led()
    led.lead(FLIGHTY, sound(repeat(CALLED)))
    manners = [ask.manner for ask in led.asked]
    assert manners == [Manner.ABANDONED, Manner.WHOLE] * 6
    assert led.names[::2] == led.names[1::2]


def test_what_a_slow_sender_takes_itself_is_not_counted() -> None:
    led = Led()
    led.lead(SLOW, sound(repeat(CALLED)))
    assert {ask.manner for ask in led.asked} == {Manner.DRIPPED}
    [(due_s, at_s)] = led.acknowledged
    assert at_s - due_s == pytest.approx(0.01 - DRIP_S)


def test_an_unknown_answer_ends_a_way_by_name() -> None:
    led = Led()
    led.lead(OBEYING, lambda _: (500, b""))
    assert led.ended_by == ["join 500"]
    led = Led()
    led.lead(OBEYING, lambda _: (0, b""))
    assert led.ended_by == ["join lost"]


def test_habits_have_their_shares() -> None:
    dice = Random(3)
    habits = [habit_of(dice) for _ in range(20_000)]
    for habit, share in (
        (Habit.HASTY, HASTY_SHARE),
        (Habit.FLIGHTY, FLIGHTY_SHARE),
        (Habit.SLOW, SLOW_SHARE),
    ):
        assert habits.count(habit) / len(habits) == pytest.approx(share, rel=0.2)


def test_no_two_forms_are_of_one_person() -> None:
    made = forms_of({"nik": "3101014507900001", "name": "Dewi"})
    values = [json.loads(next(made)) for _ in range(12_000)]
    assert len({value["nik"] for value in values}) == 12_000
    assert {value["name"] for value in values} == {"Dewi"}
    assert {value["nik"][6:12] for value in values} == {"450790"}  # the day of birth stays


# --- the wire ------------------------------------------------------------------------------------------

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def served(talk: Talk) -> AsyncIterator[int]:
    """Talk so to everybody, and leave no connection behind."""
    talks: dict[asyncio.Task[None] | None, asyncio.StreamWriter] = {}

    async def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talks[asyncio.current_task()] = writer
        with suppress(OSError, asyncio.IncompleteReadError):
            await talk(reader, writer)
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()

    server = await asyncio.start_server(begin, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for writer in talks.values():
            writer.transport.abort()
        await asyncio.gather(*(task for task in talks if task))


def answer(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


async def test_answers_reach_whoever_asked_and_connections_are_used_again() -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            whole = answer(head.split()[1])
            writer.write(whole[:30])
            await asyncio.sleep(0)  # head and body come apart
            writer.write(whole[30:])

    told: dict[int, tuple[int, bytes]] = {}
    async with served(echo) as port:
        connections = Connections(port)
        for turn in range(3):
            for n in range(20):
                data, manner = request(b"GET", f"/{n}"), Manner.DRIPPED if n == 7 else Manner.WHOLE
                connections.send(
                    data, manner, time.monotonic(), lambda *got, n=n: told.__setitem__(n, got)
                )
            await wait_until(lambda: len(told) == 20, what="twenty answers")
            assert told == {n: (200, b"/%d" % n) for n in range(20)}, turn
            told.clear()
        assert connections.opened == 20
        connections.close()


async def test_what_is_not_answered_in_time_is_given_up_with_its_connection() -> None:
    gone = asyncio.Event()

    async def keep_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        del writer
        while await reader.read(1_000):
            pass
        gone.set()

    told: list[int] = []
    async with served(keep_silent) as port:
        connections, now_s = Connections(port), time.monotonic()
        connections.send(
            request(b"GET", "/"), Manner.WHOLE, now_s, lambda *got: told.append(got[0])
        )
        await wait_until(lambda: bool(connections.open), what="a connection")
        connections.expire(now_s + ANSWER_S_MAX - 0.01)
        assert told == []
        connections.expire(now_s + ANSWER_S_MAX)
        assert told == [0]
        await asyncio.wait_for(gone.wait(), 5)


async def test_who_hangs_up_has_sent_all_of_it() -> None:
    received = asyncio.get_running_loop().create_future()

    async def read(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.set_result(await reader.read())
        writer.close()

    async with served(read) as port:
        connections, data = Connections(port), request(b"POST", "/")
        connections.send(data, Manner.ABANDONED, time.monotonic(), lambda *_: None)
        assert await asyncio.wait_for(received, 5) == data


async def test_a_server_that_is_not_there_is_told_at_once() -> None:
    told: list[int] = []
    connections = Connections(1)
    connections.send(
        request(b"GET", "/"), Manner.WHOLE, time.monotonic(), lambda *got: told.append(got[0])
    )
    await wait_until(lambda: told == [0], what="told")


async def test_applicants_arrive_by_the_clock_though_nobody_is_answered() -> None:
    async def keep_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        del writer
        while await reader.read(1_000):
            pass

    async with served(keep_silent) as port:
        crowd = Crowd(port, repeat(b"{}"), Random(1))
        crowd.start()
        began_s = time.monotonic()
        seen = crowd.arrive(400.0)
        await wait_until(lambda: seen.begun >= 200, what="two hundred")
        took_s = time.monotonic() - began_s
        crowd.stop()
    assert 0.3 < took_s < 0.8 + max(seen.lags_s)
    assert seen.sent.keys() == {"join"}
    assert seen.sent["join"] >= seen.begun  # the flighty have sent theirs again
    assert len(seen.lags_s) >= seen.begun
    assert min(seen.lags_s) >= 0


@pytest.mark.parametrize(("kept", "status"), [(0, 503), (64, 201)])
async def test_the_stand_in_refuses_in_its_middleware_what_the_gate_would(
    kept: int, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seam in ("public_app", "make_lane"):
        monkeypatch.setitem(SEAMS, seam, SEAMS[seam])  # put back at the end
    monkeypatch.setattr(ActRoute, "begin", ActRoute.begin)
    shed_by_middleware()
    house, gate = House(), OpenGate("https://gateway.example/problems", time.process_time)
    lane = SEAMS["make_lane"](house.services, None, gate)
    gate.turn(Signals())
    assert gate.limits == OPEN
    gate.kept = (kept,) * len(Rank)
    async with serving(SEAMS["public_app"](house.services, ProblemStyle()), lane=lane) as site:
        join = await ask(site, request(b"POST", "/v1/waves/wave-1/tickets"))
    assert join.status == status
    assert gate.handled == 1  # a handler has seen it all the same
    assert gate.in_handlers == 0


# --- what is made of it --------------------------------------------------------------------------------


def test_only_what_came_in_time_is_goodput() -> None:
    assert good([(5.0, 5.0 + DEADLINE_S), (1.0, 1.5), (2.0, 2.01 + DEADLINE_S)]) == [1.5, 6.0]


def test_quantiles_and_rates_are_of_all_that_was_seen() -> None:
    assert quantile(range(100), 0.99) == 99
    assert quantile([3.0], 0.5) == 3.0
    assert quantile([], 0.99) == 0.0
    instants_s = [0.05 * n for n in range(100)]  # 20 a second for 5 s
    assert set(rates_per_s(instants_s, 0.0, 5.0, 1.0)) <= {19.0, 20.0, 21.0}
    assert max(rates_per_s(instants_s, 4.0, 7.0, 1.0)) <= 21.0
    assert rates_per_s(instants_s, 4.0, 7.0, 1.0)[-1] == 0.0


def test_recovery_is_when_goodput_is_back_for_good() -> None:
    steady = [n / 100 for n in range(600)]
    assert regained_s(steady, 0.0, 6.0, 90.0) == 0.0
    dented = [at for at in steady if not 1.0 <= at < 1.5]
    assert 1.2 <= regained_s(dented, 0.0, 6.0, 90.0) <= 1.5
    assert regained_s([], 0.0, 6.0, 90.0) >= 5.0


STEP = Step(
    factor=1,
    offered_per_s=300.0,
    requests_per_s=2_100.0,
    goodput_per_s=300.0,
    p50_ms=5.0,
    p99_ms=20.0,
    refused_per_s=0.0,
    sent={},
    refused={},
    lost={},
    ended={"join refused": 7, "join lost": 2},
    lag_p99_ms=2.0,
    lag_max_ms=5.0,
    generator_cpu=0.3,
    server_cpu=1.0,
    others_cpu=0.0,
)


def found(**changes: object) -> Findings:
    top = replace(STEP, factor=10, goodput_per_s=285.0, p99_ms=60.0)
    unloaded = replace(STEP, factor=UNLOADED, goodput_per_s=30.0)
    curve = [unloaded, STEP, replace(STEP, factor=2), replace(top, **changes)]  # type: ignore[arg-type]
    return Findings(300.0, {OURS: curve, NONE: [STEP], MIDDLEWARE: [STEP]}, {OURS: 0.4})


def missed(findings: Findings) -> Sequence[str]:
    return [each.row.name for each in figures(findings) if not each.reached]


def test_a_flat_curve_reaches_every_figure() -> None:
    assert missed(found()) == []
    assert doubts(found()) == []


def test_each_seeded_fault_misses_its_figure() -> None:
    assert missed(found(goodput_per_s=269.0)) == ["at 10x / peak"]
    assert missed(found(p99_ms=71.0)) == ["p99 at 10x over unloaded, ms"]
    assert missed(found(ended={"claim 500": 1})) == ["answers that nobody should get"]
    assert missed(replace(found(), recoveries_s={OURS: 2.1})) == ["recovery after 10x, s"]
    dented = found()
    dented.curves[OURS][2] = replace(STEP, factor=2, goodput_per_s=293.0)  # type: ignore[index]
    assert missed(dented) == ["at 2x / peak"]


def test_a_peak_is_the_most_that_any_load_has_brought() -> None:
    assert found(goodput_per_s=310.0).peak_per_s == 310.0
    assert missed(found(goodput_per_s=310.0)) == ["at 2x / peak"]


@pytest.mark.parametrize(
    "changes", [{"lag_p99_ms": 51.0}, {"generator_cpu": 0.91}, {"others_cpu": 0.2}]
)
def test_a_run_is_void_where_generator_or_machine_was_the_limit(changes: dict[str, float]) -> None:
    assert len(doubts(found(**changes))) == 1


def test_the_curve_is_drawn(tmp_path: Path) -> None:
    chart.draw(found(), tmp_path / "curve.png")
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.timeout(120)
def test_a_short_run_against_a_real_gateway_ends_with_a_verdict(tmp_path: Path) -> None:
    root = Path(__file__).parent.parent
    done = subprocess.run(
        [sys.executable, "-m", "loadtests.goodput", "--quick", "--seed", "3"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(root), "MPLBACKEND": "agg"},
    )
    result = tmp_path / "build/goodput.json"
    assert done.returncode in {0, 1, 2}, done.stderr
    assert result.exists(), done.stderr
    kept = json.loads(result.read_text())
    assert (kept["seed"], kept["quick"]) == (3, True)
    assert (tmp_path / "build/goodput.png").stat().st_size > 10_000
    assert done.returncode == (2 if kept["void"] else 1 if "MISSED" in done.stdout else 0)
    assert kept["peak_per_s"] > 0
    for step in kept["curves"][OURS]:
        ended = {how.split()[-1] for how in step["ended"]}
        assert ended <= {"refused", "lost"}, "an answer that nobody should get"
        reasons = {"overloaded", "redis-unavailable"}  # the latter where the machine stands still
        assert {why.split()[-1] for why in step["refused"]} <= reasons
