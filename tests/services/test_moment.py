"""F-19: a server's clock that is set back leaves nobody with an appointment in an hour."""

from dataclasses import replace

import pytest

from gateway.core.snapshot import Phase
from gateway.ports import NotYet
from gateway.services.admission import Admission
from gateway.services.front_door import FrontDoor
from gateway.services.rooms import LiveRoom, Rooms
from tests.adapters.ports import ScriptedRoom
from tests.web.house import NOW_US, OPEN, PROGRAMME, House

HOUR_US, SECOND_US = 3_600_000_000, 1_000_000
WAITING = 40_000  # at 5,000 polls a second: 10.7 s for all of them, at three quarters of the budget
GATHERING = replace(
    OPEN, phase=Phase.PREQUEUE, near=0, called=0, issued=WAITING, opens_at_us=NOW_US + 5 * SECOND_US
)


class World:
    """A front door that waits for an opening in five seconds, and the server's clock in the test's hands."""

    def __init__(self) -> None:
        self.now_s, self.stepped_us = 100.0, 0
        self.room: LiveRoom = next(
            iter(Rooms({"prakerja": PROGRAMME}, bytes(32), lambda: self.now_s))
        )
        self.ticket = House().credential(7)
        self.pass_after(0.0)

    def pass_after(self, seconds: float) -> None:
        """Let time pass, and tick."""
        self.now_s += seconds
        true_us = NOW_US + round((self.now_s - 100) * SECOND_US)
        now_us = true_us + self.stepped_us
        self.room.observe(replace(GATHERING, now_us=now_us, furthest_us=true_us))

    async def told_s(self) -> float:
        """Return when a visitor is told to ask again."""
        door = FrontDoor(ScriptedRoom(), House().ticket_keys, bytes)
        place = await door.place(self.room, self.ticket)
        poll_s: float = place["poll_s"]
        return poll_s

    async def told_to_claim_s(self) -> float:
        """Return when one who asks for a pass is told to."""
        answer = await Admission(ScriptedRoom(), House().pass_keys).claim(self.room, self.ticket)
        assert isinstance(answer, NotYet)
        return answer.retry_after_us / SECOND_US


@pytest.mark.parametrize("late_s", [2.0, 10.0, 800.0])
async def test_whoever_asks_while_the_clock_is_an_hour_back_is_there_when_it_is_set_right(
    late_s: float,
) -> None:
    world = World()
    before_s = await world.told_s()
    world.stepped_us = -HOUR_US
    world.pass_after(1.0)
    assert await world.told_s() <= before_s, "the opening may come when it was to"
    assert await world.told_to_claim_s() <= 5
    world.pass_after(4.0 + late_s)
    budget_s = WAITING / world.room.policy.poll_budget_per_s
    assert budget_s <= await world.told_s() <= 1.6 * budget_s, "often, and inside the budget"
    assert await world.told_to_claim_s() <= 5


async def test_an_opening_that_is_overdue_by_far_was_never_due() -> None:
    """The clock had been a day ahead, and is right now."""
    world = World()
    world.stepped_us = -HOUR_US
    world.pass_after(1_000.0)
    assert await world.told_s() > 200, "as for any opening in three quarters of an hour"


@pytest.mark.parametrize("phase", [Phase.FULL, Phase.CLOSED])
@pytest.mark.parametrize(("issued", "told_s"), [(100, 60.0), (1_300_000, 650.0)])
def test_a_wave_that_is_over_is_looked_at_within_the_budget_by_however_many(
    phase: Phase, issued: int, told_s: float
) -> None:
    house = House()
    house.see(OPEN, phase=phase, issued=issued)
    (room, *_) = house.rooms
    assert room.policy.poll_budget_per_s == 2_000
    assert room.moment().board_poll_s() == told_s
    assert room.moment().poll_s(position=issued - 1) == told_s


async def test_an_opening_that_nobody_confirms_is_asked_for_within_the_budget() -> None:
    """The clock is a day ahead: the hour has come by it, and the wave waits."""
    world = World()
    world.room.observe(
        replace(GATHERING, now_us=NOW_US + 24 * HOUR_US, furthest_us=NOW_US + 24 * HOUR_US)
    )
    budget_s = WAITING / world.room.policy.poll_budget_per_s
    assert budget_s <= await world.told_s() <= 1.6 * budget_s, "not each of them every second"
