"""``steer.lua``, ``lease.lua`` and the intake's age against their twins: the same calls, the same answers."""

import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import redis

from gateway.core import passes
from gateway.core.passes import Record, Registry
from gateway.core.policy import Policy
from gateway.core.room import Room, step, tick
from gateway.core.steering import UNSTEERED_US_MAX, Lease
from gateway.redis.wave import GROUP, policy_numbers
from tests.contract.twins import KEYS, script_text
from tests.core.room_machine import EPOCH, START_US
from tests.valkeys import OwnValkey

POLICY = Policy(rate_per_s=20, burst=5, quota=50, check_in_s=1, intake_age_s=60, autopilot="auto")


class Pair:
    """One room, twice, open from its second second on."""

    def __init__(self, server: Any, policy: Policy = POLICY) -> None:
        self.server, self.now_us = server, START_US
        server.flushall()
        times = START_US, START_US + 1_000_000, START_US + 10**12
        self.room = Room(EPOCH, policy, *times, last_us=START_US)
        self.registry = Registry()
        self.run("create", GROUP, *times, "{}", *policy_numbers(policy), fence=EPOCH)

    def run(self, name: str, *args: Any, fence: str = "", text: str = "") -> Any:
        self.server.set("clock", self.now_us)
        return self.server.eval(text or script_text(name), len(KEYS), *KEYS, fence, *args)

    def tick(self, seen: list[int] | None = None) -> Any:
        ours = tick(self.room, self.now_us, self.now_us, seen or [])
        theirs = self.run("tick", self.now_us, "", *(seen or []))
        values = [getattr(ours, name) for name in ours.__slots__]
        assert [v.decode() if isinstance(v, bytes) else v for v in theirs] == values
        return ours

    def steer(self, fence: int, milli_per_s: int, text: str = "") -> bool:
        theirs = self.run("steer", fence, milli_per_s, text=text)
        if fence >= self.room.steering.fence:  # what is refused moves nothing
            step(self.room, self.now_us)
        ours = self.room.steering.steer(fence, milli_per_s)
        assert theirs == int(ours)
        return ours

    def admit(self, count: int) -> None:
        self.tick()
        for number in range(count):
            passes.join(self.room)
            self.run("join", 1)
            assert number < self.room.issued
        while self.room.admitted < count:
            self.now_us += 500_000
            self.tick(list(range(count)))
            for number in range(count):
                self.claim(number)

    def claim(self, number: int) -> str:
        ours = passes.claim(self.room, self.now_us, number, number)
        theirs = self.run("claim", number, number)
        assert theirs == [[str(ours.word).encode(), ours.serial, ours.instant_us, ours.wait_us]]
        return str(ours.word)

    def accept(self, number: int) -> str:
        record = Record(f"R{number}", bytes([number]) * 32, bytes(16), 0)
        serial = self.room.passes[number].serial
        ours = passes.accept(
            self.room, self.registry, self.now_us, number=number, serial=serial, proposed=record
        )
        sent = record.receipt, record.person.hex(), record.content.hex(), b"{}"
        *theirs, accepted = self.run("accept", "w", number, serial, *sent)
        assert accepted == self.room.accepted
        assert theirs == [[ours.word.encode(), ours.receipt.encode(), ours.instant_us]]
        return ours.word


@pytest.fixture(scope="module")
def quick() -> Iterator[redis.Redis]:
    server = OwnValkey(durable=False)
    server.start()
    with server.client() as client:
        yield client
    server.kill()


def a_life(quick: redis.Redis, text: str = "") -> None:
    """Two holders steer one room in turn, one of them now and then with a lease it has lost."""
    rng, pair, fence = random.Random(7), Pair(quick), 1
    for _ in range(150):
        pair.now_us += rng.choice([1, 100_000, 900_000, 5_000_000, -3_600_000_000])
        fence += rng.random() < 0.2
        if rng.random() < 0.5:
            pair.steer(fence - rng.choice([0, 0, 1]), rng.choice([1, 500, 7_000, 90_000]), text)
        pair.tick()


def test_steering_and_its_twin_lead_the_same_life(quick: redis.Redis) -> None:
    a_life(quick)


def test_steering_without_fencing_is_found(quick: redis.Redis) -> None:
    unfenced = script_text("steer").replace("tonumber(ARGV[2]) < room.fence", "false")
    with pytest.raises(AssertionError):
        a_life(quick, unfenced)


def test_a_holder_that_slept_through_its_lease_is_refused(quick: redis.Redis) -> None:
    pair = Pair(quick)
    assert pair.steer(2, 5_000)
    assert not pair.steer(1, 9_000)
    pair.now_us += 2_000_000
    assert pair.tick().rate_milli_per_s == 5_000


def test_an_autopilot_that_falls_silent_leaves_the_floor(quick: redis.Redis) -> None:
    pair = Pair(quick)
    pair.steer(1, 5_000)
    for _ in range(UNSTEERED_US_MAX // 1_000_000 + 2):
        pair.now_us += 1_000_000
        rate = pair.tick().rate_milli_per_s
    assert rate == POLICY.floor_milli_per_s == 200


def test_manual_means_the_operators_rate(quick: redis.Redis) -> None:
    pair = Pair(quick, Policy(rate_per_s=20, burst=5))
    pair.steer(1, 5_000)
    assert pair.tick().rate_milli_per_s == 20_000


def test_the_lease_and_its_twin_have_one_holder(quick: redis.Redis) -> None:
    rng, lease, now_us, fences = random.Random(3), Lease(), START_US, [0]
    quick.flushall()
    for _ in range(400):
        now_us += rng.choice([0, 1_000_000, 4_000_000, 6_000_000, -3_600_000_000])
        quick.set("clock", now_us)
        holder, before = rng.choice("abc"), lease.holder
        ours = lease.take(holder, 5_000_000, now_us)
        assert quick.eval(script_text("lease"), 1, "lease", holder, 5_000_000) == ours
        if ours and holder != before:
            assert ours > fences[-1]
            fences.append(ours)
    assert len(fences) > 20


def test_i_45_by_age_claims_stop_first_then_registrations_and_the_pass_stays(
    quick: redis.Redis,
) -> None:
    pair = Pair(quick, replace(POLICY, autopilot="manual"))
    pair.admit(3)
    pair.run("join", 1)
    passes.join(pair.room)
    assert pair.accept(0) == "accepted"
    while pair.tick([3]).called < 4:
        pair.now_us += 500_000
    pair.now_us = pair.room.oldest_us + 31_000_000
    assert pair.claim(3) == "called", "half of the age is over"
    assert pair.accept(1) == "accepted"
    pair.now_us = pair.room.oldest_us + 61_000_000
    assert pair.accept(2) == "backlog-full"
    clock_us = pair.tick().clock_us
    pair.now_us += 900_000_000
    assert pair.tick().clock_us == clock_us, "I-14: the wave clock stands"
    assert pair.room.passes[2].expires_us > clock_us
    pair.server.xtrim(KEYS[9], maxlen=0)
    pair.room.backlog = 0
    assert pair.accept(2) == "accepted"


def test_time_on_the_form_is_measured_on_the_wave_clock(quick: redis.Redis) -> None:
    pair = Pair(quick)
    pair.admit(1)
    began_us = pair.room.clock_us
    for _ in range(30):
        pair.now_us += 1_000_000
        pair.tick()
    pair.accept(0)
    assert pair.tick().form_us == pytest.approx(pair.room.clock_us - began_us, abs=1_000_000)
