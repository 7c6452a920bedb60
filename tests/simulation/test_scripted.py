"""The scripts decide as the core does, step by step, for a whole crowd."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis

from gateway.core.room import Room
from gateway.simulation.engine import new_room
from gateway.simulation.scripted import ScriptedWorld, server
from gateway.simulation.worlds import PureWorld
from tests.simulation.days import day_of, scenario


@pytest.fixture(scope="module")
def client() -> Iterator[redis.Redis]:
    with server() as started:
        yield started


class Both:
    """Two worlds that are asked the same, and must say the same."""

    def __init__(self, client: redis.Redis, room: Room) -> None:
        self.scripts = ScriptedWorld(client, room)
        self.core = PureWorld(room)
        self.asked = 0

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def ask(*args: Any) -> Any:
            self.asked += 1
            ours, theirs = getattr(self.core, name)(*args), getattr(self.scripts, name)(*args)
            assert ours == theirs, f"{name}{args}"
            return ours

        return ask


def test_scripts_and_core_give_every_visitor_the_same_answer(client: redis.Redis) -> None:
    # Small numbers, so that caps, expiries, extensions and the quota are all met within the day.
    chosen = scenario(
        people=250, hours=0.5, no_shows=0.2, rate_per_s=0.5, burst=1, form_cap=100, quota=50,
        pass_ttl_s=60,
    )  # fmt: skip
    day = day_of(chosen, lambda room: Both(client, room))
    assert isinstance(day.world, Both)
    told = day.live.current()
    assert day.world.asked > 3_000
    assert told.accepted == 50
    assert told.ended > 0
    assert told.admitted > told.accepted  # some passes expired


def test_the_scripts_begin_with_a_new_room_only(client: redis.Redis) -> None:
    room = new_room(scenario())
    room.issued = 3
    with pytest.raises(ValueError, match="new room"):
        ScriptedWorld(client, room)
