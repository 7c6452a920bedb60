"""What presses a process is read from what it knows of its rooms."""

from typing import Any

import pytest

from gateway.core.policy import Policy
from gateway.core.snapshot import Phase
from gateway.pressure import intake_full
from tests.web.house import NOW_US, OPEN, House

CAP, AGE_US = Policy().intake_cap, Policy().intake_age_s * 1_000_000


@pytest.mark.parametrize(
    ("full", "room"),
    [
        (False, {}),
        (False, {"backlog": CAP - 1, "oldest_us": NOW_US - AGE_US}),
        (True, {"backlog": CAP}),
        (True, {"oldest_us": NOW_US - AGE_US - 1}),
        (False, {"phase": Phase.CLOSED, "backlog": CAP}),
    ],
)
def test_an_intake_is_full_by_its_entries_or_by_their_age(full: bool, room: dict[str, Any]) -> None:
    house = House()
    house.see(OPEN, **room)
    assert intake_full(house.rooms) is full


def test_one_wave_with_room_in_its_intake_keeps_registrations_coming() -> None:
    house = House()
    first = next(iter(house.rooms))
    house.see(OPEN, oldest_us=NOW_US - AGE_US - 1)
    first.observe(OPEN)
    assert not intake_full(house.rooms)
