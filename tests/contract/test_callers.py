"""Eight callers at once on one room: nothing is given twice, nothing beyond a bound. I-11, I-12, I-16, I-20, I-23."""

import random
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import redis

from gateway.core.policy import Policy
from gateway.redis.lua import load
from gateway.redis.wave import GROUP, policy_numbers
from loadtests.windows import TOKEN, burst_needed
from tests.contract.twins import KEYS, NAMES, plain
from tests.core.room_machine import EPOCH
from tests.support import wait_for

CALLERS, ROUNDS = 8, 120
QUOTA_LOW = 4
POLICY = Policy(
    rate_per_s=200.0,
    burst=20,
    form_cap=25,
    quota=60,
    pass_ttl_s=600,
    check_in_s=1,
    intake_cap=1_000,
)


def timed(text: str) -> str:
    """Have `claim` say at which server time it answered, behind its answers."""
    return text.replace("return answers", "answers[#answers + 1] = server_us()\nreturn answers")


@dataclass
class Answers:
    """What one caller was told."""

    numbers: list[int] = field(default_factory=list)
    issued: list[tuple[int, int, int]] = field(default_factory=list)  # number, serial, server time
    given_back: int = 0
    receipts: set[str] = field(default_factory=set)
    outstanding: list[int] = field(default_factory=list)  # as ticks told it


class Caller(threading.Thread):
    """One process with a connection of its own, doing what comes to its mind."""

    def __init__(self, socket: Path, index: int, start: threading.Barrier) -> None:
        super().__init__()
        self.client: Any = redis.Redis(unix_socket_path=str(socket))
        self.index, self.together = index, start
        self.rng = random.Random(index)
        self.told = Answers()
        self.held: dict[int, int] = {}
        self.error: BaseException | None = None

    def text(self, name: str) -> str:
        return timed(load(name).text) if name == "claim" else load(name).text

    def tokens(self) -> int:
        """Tick, and return how many whole tokens are in the bucket."""
        self.tick(0)
        return int(self.client.hget(NAMES["room"], "level") or 0) // TOKEN

    def script(self, name: str, *args: Any) -> Any:
        return plain(self.client.eval(self.text(name), len(KEYS), *KEYS, "", *args))

    def run(self) -> None:
        try:
            self.together.wait(10)
            self.act()
        except BaseException as error:  # noqa: BLE001 - told in the test's own thread
            self.error = error
        finally:
            self.client.close()

    def act(self) -> None:
        rules = (self.enter, self.claim, self.claim, self.look, self.leave, self.tick, self.accept)
        for turn in range(ROUNDS):
            self.rng.choice(rules)(turn)

    def enter(self, turn: int) -> None:
        count = self.rng.randint(1, 3)
        first = self.script("join", count)[1]
        self.told.numbers += range(first, first + count)

    def claim(self, turn: int) -> None:
        numbers = self.rng.sample(range(150), 4)
        *answers, at_us = self.script("claim", *[n for number in numbers for n in (number, number)])
        for number, (word, serial, *_) in zip(numbers, answers, strict=True):
            if word == "issued":
                self.held[number] = serial
                self.told.issued.append((number, serial, at_us))

    def look(self, turn: int) -> None:
        self.script("look", *self.rng.sample(range(150), 4))

    def leave(self, turn: int) -> None:
        if self.held and self.rng.random() < 0.3:
            number, _ = self.held.popitem()
            self.told.given_back += self.script("leave", number, number) == ["left"]

    def tick(self, turn: int) -> None:
        self.told.outstanding.append(
            self.script("tick", time.time_ns() // 1_000, "", *range(150))[16]
        )

    def accept(self, turn: int) -> None:
        if not self.held:
            return
        number, serial = self.held.popitem()
        receipt = f"R{self.index}-{turn}"
        person = f"{self.index:02}{turn:04}".ljust(64, "0")
        answer = self.script("accept", "w", number, serial, receipt, person, "0" * 32, b"{}")[0]
        assert answer[:2] == ["accepted", receipt]
        self.told.receipts.add(receipt)


def rush(socket: Path, client: Any, kind: type[Caller], quota: int) -> list[Caller]:
    """Let eight callers at a room that has just opened; return them when they are done."""
    client.eval(
        load("create").text, len(KEYS), *KEYS, EPOCH, GROUP, "+-2", "+-1", "+900000000", "{}",
        *policy_numbers(POLICY),
    )  # fmt: skip
    start = threading.Barrier(CALLERS)
    callers = [kind(socket, index, start) for index in range(CALLERS)]
    callers[0].tick(0)
    for _ in range(CALLERS):
        callers[0].enter(0)
    wait_for(lambda: callers[0].tokens() >= CALLERS, what="the bucket fills")
    client.hset(NAMES["room"], "quota", quota)  # in the last moment: those called may be too many
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(60)
        assert caller.error is None, caller.error
    return callers


def judge(callers: list[Caller], client: Any, quota: int) -> None:
    """Check what was told against itself, and against what the room holds."""
    raw = {k.decode(): v.decode() for k, v in client.hgetall(NAMES["room"]).items()}
    numbers = Counter(number for caller in callers for number in caller.told.numbers)
    assert max(numbers.values()) == 1, "I-23: a number twice"
    assert sum(numbers.values()) == int(raw["issued"]), "I-23: numbers told and given"
    issued = [one for caller in callers for one in caller.told.issued]
    assert len({serial for _, serial, _ in issued}) == len(issued) == int(raw["admitted"]), "I-12"
    receipts = set[str]().union(*(caller.told.receipts for caller in callers))
    given_back = sum(caller.told.given_back for caller in callers)
    outstanding = int(client.zcard(NAMES["expiries"]))
    assert len(receipts) == int(raw["accepted"]), "I-10: receipts told and given"
    assert outstanding == client.hlen(NAMES["passes"]), "I-12: two tables of one stock"
    assert len(issued) == outstanding + len(receipts) + given_back, "I-12: passes add up"
    assert int(raw["ended"]) == given_back, "I-32: leavings add up"
    assert len(receipts) + outstanding <= quota, "I-11: above quota"
    told = [count for caller in callers for count in caller.told.outstanding]
    assert max([*told, outstanding]) <= POLICY.form_cap, "I-20: above the form cap"
    needed = burst_needed(sorted(at_us for _, _, at_us in issued), POLICY.rate_per_s)
    assert needed <= POLICY.burst, "I-16: more than burst and rate"


def test_eight_callers_at_once_break_no_promise(
    valkey_socket: Path, valkey_client: redis.Redis
) -> None:
    callers = rush(valkey_socket, valkey_client, Caller, POLICY.quota)
    judge(callers, valkey_client, POLICY.quota)
    assert sum(len(caller.told.issued) for caller in callers) > POLICY.form_cap, (
        "too little happened"
    )


class QuotaReader(Caller):
    """Reads the quota before the script, which leaves it to its caller: so do the seven others."""

    def text(self, name: str) -> str:
        return super().text(name).replace("or places_free(room) <= 0", "")

    def act(self) -> None:
        free = QUOTA_LOW - int(self.client.zcard(NAMES["expiries"]))
        self.together.wait(10)
        if free > 0:
            (word, serial, *_), at_us = self.script("claim", self.index, self.index)
            assert word == "issued"
            self.told.issued.append((self.index, serial, at_us))


class NumberReader(Caller):
    """Reads the next number, and writes back the one after it."""

    def act(self) -> None:
        number = int(self.client.hget(NAMES["room"], "issued") or 0)
        self.together.wait(10)
        self.client.hset(NAMES["room"], "issued", number + 1)
        self.told.numbers.append(number)


SEEDED_BUGS = {
    "I-11 quota read before the script": (QuotaReader, "I-11"),
    "I-23 number read before it is written": (NumberReader, "I-23"),
}


@pytest.mark.parametrize("bug", SEEDED_BUGS)
def test_a_caller_that_decides_for_itself_is_found_out(
    valkey_socket: Path, valkey_client: redis.Redis, bug: str
) -> None:
    kind, promise = SEEDED_BUGS[bug]
    callers = rush(valkey_socket, valkey_client, kind, QUOTA_LOW)
    with pytest.raises(AssertionError, match=promise):
        judge(callers, valkey_client, QUOTA_LOW)
