"""I-8: in which order a lost room is put back, and for whom it waits. Virtual time; ports that note their calls."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gateway.core.checkpoint import Checkpoint
from gateway.core.policy import Policy, to_document
from gateway.core.programme import Wave
from gateway.ports import RoomMissingError
from gateway.services.recovery import HAND_OVER_S_MAX, LISTEN_S, LOOK_S, Keeper
from tests.adapters import virtual_time
from tests.services.delivery_world import WAVES

WAVE = WAVES[0]
FENCE = 7
KNOWN = Checkpoint(
    at_us=1, clock_us=1, epoch="e", issued=5, cohort=0, called=0, near=0, admitted=0, accepted=3,
    ended=0, missing=0, revision=1, prequeue_at_us=0, opens_at_us=0, closes_at_us=9,
    policy=to_document(Policy()), beacon="", joins_per_s=0.0,
)  # fmt: skip


class House:
    """Everything a keeper asks: a room that is gone, and another delivery that tells of its fence."""

    process = "one"

    def __init__(self, other_fence: Callable[[float], int | None]) -> None:
        self.calls: list[str] = []
        self._other_fence = other_fence
        self._began_s = asyncio.get_running_loop().time()
        programme: Any = type("P", (), {"id": WAVE.programme_id, "waves": [WAVE]})
        me: Any = self
        self.keeper = Keeper([programme], me, me, me, me, me, me, b"pepper", lambda *_: None)
        self.keeper._taken = {WAVE.id: KNOWN}

    @property
    def passed_s(self) -> float:
        return asyncio.get_running_loop().time() - self._began_s

    async def tick(self, *_: Any) -> Any:
        raise RoomMissingError(WAVE.id)

    async def confirm_room(self, *_: Any) -> bool:
        return False

    async def restore(self, *_: Any) -> bool:
        self.calls.append("restore")
        return True

    async def raise_fence(self, _: str) -> int:
        self.calls.append("raise")
        return FENCE

    async def look(self) -> None:
        self.calls.append("look")

    async def recorded_rows(self, *_: Any) -> Sequence[Any]:
        self.calls.append("count")
        return []

    async def reopen(self, wave: Wave, audit: Mapping[str, str]) -> int:
        self.calls.append(f"reopen {wave.id}")
        return 0

    async def alive(self) -> Sequence[Mapping[str, Any]]:
        fence = self._other_fence(self.passed_s)
        mine = {"process": "one", "delivery": {"fences": {}}}  # its row is told once a second
        other = {"process": "two", "delivery": {"fences": {WAVE.programme_id: fence}}}
        return [{"process": "door"}, mine, *([] if fence is None else [other])]


def put_back(other_fence: Callable[[float], int | None]) -> tuple[list[str], float]:
    async def life() -> tuple[list[str], float]:
        house = House(other_fence)
        await house.keeper.keep()
        return house.calls, house.passed_s

    return virtual_time.run(life())


def test_nobody_is_let_in_before_all_was_fenced_put_back_and_counted() -> None:
    calls, _ = put_back(lambda _: None)
    assert calls == ["restore", "raise", "look", "count", f"reopen {WAVE.id}", "look"]


def test_a_delivery_that_lives_is_waited_for_until_it_has_put_back_what_it_held() -> None:
    _, took_s = put_back(lambda passed_s: 0 if passed_s < 3.0 else FENCE)
    assert 3.0 <= took_s <= 3.0 + 2 * LOOK_S


def test_one_that_has_seen_a_later_fence_has_put_back_what_it_held() -> None:
    _, took_s = put_back(lambda _: FENCE + 1)
    assert took_s <= LISTEN_S + LOOK_S


def test_one_that_hangs_is_not_waited_for_longer_than_it_takes_to_be_thought_dead() -> None:
    """While it is waited for we look too: it may be putting the same rooms back, and wait for us."""
    calls, took_s = put_back(lambda _: 0)
    assert took_s <= LISTEN_S + HAND_OVER_S_MAX + 2 * LOOK_S
    assert calls.count("look") > HAND_OVER_S_MAX / LOOK_S / 2
