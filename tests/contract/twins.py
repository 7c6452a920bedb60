"""The same random life led by the scripts on a real server and by the pure core: one state machine.

Server time is a key of the test's, put in place of the scripts' one ``TIME`` line, so that clocks can
jump. After every step the whole state is compared, bit by bit.
"""

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from gateway.core import passes
from gateway.core.bitmap import Bitmap
from gateway.core.passes import Record, Registry
from gateway.core.policy import Policy
from gateway.core.room import Room, step, tick
from gateway.redis.keys import room_keys
from gateway.redis.lua import load
from gateway.redis.wave import GROUP, policy_numbers

START_US = 1_586_606_400_000_000
EPOCH = "0123456789abcdef"
KEYS = room_keys("twin", "p", "w")
NAMES = dict(
    zip(
        [
            "room",
            "present",
            "fresh",
            "left",
            "missed",
            "lost",
            "passes",
            "expiries",
            "spent",
            "intake",
        ],
        KEYS,
        strict=False,
    )
)
BITMAPS = ("present", "fresh", "left", "missed", "lost")
COUNTERS = (
    "last_us", "clock_us", "turned_us", "level", "issued", "cohort", "called", "ripe", "near",
    "admitted", "accepted", "recorded", "ended", "revision", "missing",
)  # fmt: skip
PERSONS = [bytes([letter]) * 32 for letter in range(6)]
CONTENTS = [bytes([letter]) * 16 for letter in range(2)]

positions = st.integers(0, 40)
batches = st.lists(positions, min_size=1, max_size=8)
steps_us = st.one_of(
    st.integers(0, 300_000),
    st.integers(300_000, 6_000_000),
    st.sampled_from([-3_600_000_000, -1, 86_400_000_000, 1_000_000]),
)
policies = st.builds(
    Policy,
    rate_per_s=st.sampled_from([0.5, 3.0, 20.0, 20.0]),
    burst=st.integers(1, 5),
    form_cap=st.integers(1, 6),
    quota=st.integers(1, 8),
    pass_ttl_s=st.sampled_from([10, 12]),
    check_in_s=st.sampled_from([1, 2]),
    intake_cap=st.integers(1, 6),
    paused=st.booleans(),
)


def script_text(name: str) -> str:
    """Return a script whose clock is the key ``clock``."""
    text = load(name).text
    patched = text.replace("redis.call('TIME')", "{0, redis.call('GET', 'clock')}")
    assert patched != text
    return patched


def bits(raw: bytes | None) -> set[int]:
    """Return the positions set in a Redis bitmap."""
    return {
        8 * index + bit
        for index, byte in enumerate(raw or b"")
        for bit in range(8)
        if byte >> (7 - bit) & 1
    }


def positions_of(bitmap: Bitmap) -> set[int]:
    """Return the positions set in the core's bitmap."""
    return {position for position in range(512) if position in bitmap}


class Twins(RuleBasedStateMachine):
    """One room, twice."""

    server: Any  # redis.Redis, whose types know nothing of decode_responses
    text: Callable[[str], str] = staticmethod(script_text)

    @initialize(policy=policies, prequeue=st.integers(0, 2), opens=st.integers(2, 4))
    def make(self, policy: Policy, prequeue: int, opens: int) -> None:
        self.server.flushall()
        self.now_us = START_US
        times = START_US + prequeue * 1_000_000, START_US + opens * 1_000_000, START_US + 90_000_000
        self.room = Room(EPOCH, policy, *times, last_us=START_US)
        self.registry = Registry()
        self.entries: list[tuple[str, str]] = []
        self.receipt_count = 0
        self.seen = 0, 0  # issued and accepted, as of the last step
        self._run("create", GROUP, *times, "{}", *policy_numbers(policy), epoch=EPOCH)

    def _run(self, name: str, *args: Any, epoch: str = EPOCH) -> Any:
        self.server.set("clock", self.now_us)
        fence = epoch if name == "create" else f"{epoch}:{self.seen[0]}:{self.seen[1]}"
        return self.server.eval(self.text(name), len(KEYS), *KEYS, fence, *args)

    @rule(step_us=steps_us)
    def time_passes(self, step_us: int) -> None:
        self.now_us += step_us

    @rule(seen=st.lists(positions, max_size=12))
    def tick(self, seen: list[int]) -> None:
        ours = tick(self.room, self.now_us, seen)
        theirs = self._run("tick", *seen)
        values = [getattr(ours, name) for name in ours.__slots__]
        assert [v.decode() if isinstance(v, bytes) else v for v in theirs] == values

    @rule(count=st.integers(1, 7))
    def join(self, count: int) -> None:
        answer = self._run("join", count)
        ours = [passes.join(self.room) for _ in range(count)]
        if ours[0].word == "joined":
            assert answer[:2] == [b"joined", ours[0].serial]
        else:
            assert answer == [ours[0].word.encode()]

    @rule(numbers=batches)
    def claim(self, numbers: list[int]) -> None:
        pairs = [part for number in numbers for part in (number, self._position(number))]
        answers = self._run("claim", *pairs)
        order = sorted(range(len(numbers)), key=lambda i: (self._position(numbers[i]), i))
        expected: dict[int, list[Any]] = {}
        for index in order:
            number = numbers[index]
            answer = passes.claim(self.room, self.now_us, number, self._position(number))
            expected[index] = [
                str(answer.word).encode(), answer.serial, answer.instant_us, answer.wait_us,
            ]  # fmt: skip
        assert answers == [expected[index] for index in range(len(numbers))]
        if any(answer[0] == b"issued" for answer in answers):  # I-11, I-20
            held = len(self.room.passes)
            assert held <= self.room.policy.form_cap
            assert self.room.accepted + held <= self.room.policy.quota

    def _position(self, number: int) -> int:
        # Any permutation of the cohort will do here; the draw has tests of its own.
        cohort = self.room.cohort
        return cohort - 1 - number if number < cohort else number

    @rule(seconds=st.integers(1, 3))
    def crowd(self, seconds: int) -> None:
        """Lead everybody to the front: the states that matter are reached often, not by luck."""
        for _ in range(seconds):
            self.now_us += 1_000_000
            self.tick(list(range(self.room.issued)))
            self.claim(list(range(min(self.room.issued, 8))) or [0])

    @rule(numbers=batches)
    def look(self, numbers: list[int]) -> None:
        opened = self.room.near > 0
        places = [self._position(number) if opened else None for number in numbers]
        expected = [passes.look(self.room, *pair) for pair in zip(numbers, places, strict=True)]
        pairs = zip(numbers, [-1 if place is None else place for place in places], strict=True)
        assert self._run("look", *[part for pair in pairs for part in pair]) == [
            [a.word.encode(), a.serial, a.instant_us, a.extensions, a.receipt.encode()]
            for a in expected
        ]

    @rule(number=positions)
    def leave(self, number: int) -> None:
        opened = self.room.near > 0
        position = self._position(number) if opened else None
        expected = passes.leave(self.room, number, position)
        answer = self._run("leave", number, -1 if position is None else position)
        assert answer == [expected.word.encode()]

    @precondition(lambda self: self.room.passes)
    @rule(data=st.data(), off=st.integers(0, 1))
    def extend(self, data: st.DataObject, off: int) -> None:
        number = data.draw(st.sampled_from(sorted(self.room.passes)))
        serial = self.room.passes[number].serial + off
        expected = passes.extend(self.room, number, serial)
        answer = self._run("extend", number, serial)
        assert answer == [[expected.word.encode(), expected.instant_us]]

    @rule(
        data=st.data(), person=st.sampled_from(PERSONS), content=st.sampled_from(CONTENTS),
        off=st.sampled_from([0, 0, 0, 1]),
    )  # fmt: skip
    def accept(self, data: st.DataObject, person: bytes, content: bytes, off: int) -> None:
        held = {n: p.serial for n, p in self.room.passes.items()}
        held |= {n: serial for n, (_, serial) in self.room.spent.items()}
        number = data.draw(st.sampled_from(sorted(held) or [0]))
        serial = held.get(number, 0) + off
        self.receipt_count += 1
        receipt = f"R{self.receipt_count}"
        proposed = Record(receipt, person, content, 0)
        expected = passes.accept(
            self.room, self.registry, self.now_us, number=number, serial=serial, proposed=proposed
        )
        answer = self._run(
            "accept", "w", number, serial, receipt, person.hex(), content.hex(), b"{}"
        )
        told = [expected.word.encode(), expected.receipt.encode(), expected.instant_us]
        assert answer == [told, self.room.accepted]

    @precondition(lambda self: self.room.backlog)
    @rule(state=st.sampled_from(["recorded", "recorded", "rejected"]))
    def settle(self, state: str) -> None:
        self.server.xreadgroup(GROUP, "c", {NAMES["intake"]: ">"}, count=1)
        entry_id, values = self.server.xrange(NAMES["intake"], count=1)[0]
        receipt = values[b"receipt"].decode()
        for expected in (1, 0):  # settling twice is settling once
            assert self._run("settle", GROUP, entry_id, receipt, state, "why") == expected
        self.room.backlog -= 1
        self.room.recorded += state == "recorded"

    @rule(policy=policies)
    def change_policy(self, policy: Policy) -> None:
        numbers = policy_numbers(policy)
        answer = self._run(
            "change_policy", self.room.revision, "{}", len(numbers), *numbers, "who", "me"
        )
        step(self.room, self.now_us)
        self.room.policy = policy
        self.room.revision += 1
        assert answer == [1, self.room.revision]
        stale = self._run("change_policy", self.room.revision - 1, "{}", 0, "who", "me")
        assert stale == [0, self.room.revision]

    @invariant()
    def same_state(self) -> None:
        if not hasattr(self, "room"):
            return
        room, get = self.room, self.server
        self.seen = room.issued, room.accepted
        with get.pipeline(transaction=False) as pipe:
            pipe.hgetall(NAMES["room"])
            for name in BITMAPS:
                pipe.get(NAMES[name])
            pipe.hgetall(NAMES["passes"])
            pipe.zrange(NAMES["expiries"], 0, -1, withscores=True)
            pipe.hgetall(NAMES["spent"])
            pipe.xlen(NAMES["intake"])
            raw, *bitmaps, held, expiries, spent, backlog = pipe.execute()
        stored = {k.decode(): v.decode() for k, v in raw.items()}
        assert stored["phase"] == room.phase
        for name in COUNTERS:
            assert (name, int(stored[name])) == (name, getattr(room, name))
        for name, bitmap in zip(BITMAPS, bitmaps, strict=True):
            assert (name, bits(bitmap)) == (name, positions_of(getattr(room, name)))
        assert held == {
            str(number).encode(): (
                f"{p.serial}:{p.extensions}:{','.join(x.hex() for x in p.persons)}".encode()
            )
            for number, p in room.passes.items()
        }
        assert dict(expiries) == {str(n).encode(): p.expires_us for n, p in room.passes.items()}
        assert spent == {
            str(number).encode(): f"{receipt}:{serial}".encode()
            for number, (receipt, serial) in room.spent.items()
        }
        assert backlog == room.backlog
