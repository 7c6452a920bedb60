"""The same life led by the scripts on a real server and by the pure core: the core's own state machine.

Server time is a key of the test's, put in place of the scripts' one ``TIME`` line, so that clocks can
jump. After every step the whole state is compared, bit by bit.
"""

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant

from gateway.core.bitmap import Bitmap
from gateway.core.policy import Policy
from gateway.redis.keys import room_keys
from gateway.redis.lua import load
from gateway.redis.wave import GROUP, policy_numbers
from tests.core.room_machine import EPOCH, RoomMachine, policies

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
    "last_us", "agreed_us", "furthest_us", "clock_us", "turned_us", "level", "issued", "cohort", "called", "ripe", "near",
    "admitted", "accepted", "recorded", "ended", "revision", "missing",
)  # fmt: skip


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
        if byte
        for bit in range(8)
        if byte >> (7 - bit) & 1
    }


def positions_of(bitmap: Bitmap) -> set[int]:
    """Return the positions set in the core's bitmap."""
    return {position for position in range(512) if position in bitmap}


def plain(value: Any) -> Any:
    """Return an answer with texts in place of bytes."""
    if isinstance(value, list):
        return [plain(part) for part in value]
    return value.decode() if isinstance(value, bytes) else value


class Twins(RoomMachine):
    """One room, twice."""

    server: Any  # redis.Redis, whose types know nothing of decode_responses
    text: Callable[[str], str] = staticmethod(script_text)

    @initialize(policy=policies, prequeue=st.integers(0, 2), opens=st.integers(2, 4))
    def make(self, policy: Policy, prequeue: int, opens: int, closes: int = 90) -> None:
        super().make(policy, prequeue, opens, closes)
        self.server.flushall()
        self.fence = 0, 0  # issued and accepted, as of the last step
        at = self.room.prequeue_at_us, self.room.opens_at_us, self.room.closes_at_us
        self._run("create", GROUP, *at, "{}", *policy_numbers(policy), epoch=EPOCH)

    def _run(self, name: str, *args: Any, epoch: str = "") -> Any:
        self.server.set("clock", self.now_us)
        fence = epoch or f"{EPOCH}:{self.fence[0]}:{self.fence[1]}"
        return plain(self.server.eval(self.text(name), len(KEYS), *KEYS, fence, *args))

    def mirror(self, script: str, args: list[Any], expected: Any) -> None:
        """Run the script of the same name: it must say the same."""
        special: dict[str, Callable[..., Any]] = {
            "settle": self._settle,
            "change_policy": self._change_policy,
            "restore": self._restore,
            "reopen": self._reopen,
        }
        answer = special[script](*args) if script in special else self._run(script, *args)
        if script == "accept":  # then how many were in all
            answer, accepted = answer[:-1], answer[-1]
            assert accepted == self.room.accepted
        if script == "join":  # the rest is of the instant
            answer = answer[: len(expected)]
        assert answer == expected, f"{script} answers {answer}, its twin {expected}"

    def _settle(self, state: str) -> Any:
        self.server.xreadgroup(GROUP, "c", {NAMES["intake"]: ">"}, count=1)
        entry_id, values = self.server.xrange(NAMES["intake"], count=1)[0]
        args = GROUP, entry_id, values[b"receipt"].decode(), state, "why"
        settled = self._run("settle", *args)
        assert self._run("settle", *args) == 0, "settling twice is settling once"
        return settled

    def _change_policy(self, policy: Policy) -> Any:
        numbers = policy_numbers(policy)
        revision = self.room.revision
        args = revision - 1, "{}", "", len(numbers), *numbers, "who", "me"
        answer = self._run("change_policy", *args)
        assert self._run("change_policy", *args) == [0, revision], "a stale revision is refused"
        return answer

    def _restore(self) -> Any:
        names = (
            "clock_us", "turned_us", "issued", "cohort", "called", "ripe", "near", "admitted",
            "ended", "missing",
        )  # fmt: skip
        fields = [part for name in names for part in (name, getattr(self.room, name))]
        args = GROUP, "{}", "", self.room.revision, 0, "epoch", EPOCH, *fields
        if self.server.hget(NAMES["room"], "phase") != b"recovering":
            assert self._run("restore", *args) == 0, "a room that stands is not put back"
        self.server.hset(
            NAMES["room"], "phase", "recovering"
        )  # whoever finds it to be less does that
        self.server.hdel(NAMES["room"], *names)  # lost: of what is still there the greater counts
        return self._run("restore", *args)

    def _reopen(self, known: int) -> Any:
        if self.server.hget(NAMES["room"], "phase") == b"recovering":
            self.server.hset(NAMES["room"], "sought", known)  # as `restore` is told by somebody
        return self._run("reopen", "who", "me")

    @invariant()
    def same_state(self) -> None:
        if not hasattr(self, "room"):
            return
        room, get = self.room, self.server
        self.fence = room.issued, room.accepted
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
            assert (name, stored[name]) == (name, str(getattr(room, name)))
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
