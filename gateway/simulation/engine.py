"""What is simulated? A scenario, or a room in full swing, becomes a day that can be led to its end.

The day has a clock of its own and dice from one seed: the same scenario gives the same day.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from gateway.core.draw import draw_secret
from gateway.core.policy import Policy
from gateway.core.programme import Moment, Programme, Wave
from gateway.core.room import Room, snapshot
from gateway.services.rooms import LiveRoom
from gateway.simulation.arrivals import Profile
from gateway.simulation.crowd import Crowd, gather, incumbents, together
from gateway.simulation.day import Day
from gateway.simulation.tally import TICK_US, TICKS_PER_S
from gateway.simulation.worlds import PureWorld, World

OPENS_US = 1_586_606_400_000_000  # 11 April 2020, 19:00 WIB
EPOCH = "51d0000000000000"
LOOKS_WITHIN_S = 60.0  # those who wait already take their next look within it
NO_TEXTS = {"id": "", "en": ""}


@dataclass(frozen=True, slots=True)
class Scenario:
    """One launch."""

    profile: Profile
    policy: Policy
    people: int
    hours: float  # from the opening to the end
    no_shows: float  # share of tickets that join, look once and are not seen again
    seed: int


def new_room(scenario: Scenario) -> Room:
    """Return the room of a wave at the moment in which its first visitors may come."""
    start_us = OPENS_US - round(scenario.profile.early_s * 1_000_000)
    end_us = OPENS_US + round(scenario.hours * 3_600_000_000)
    return Room(
        epoch=EPOCH,
        policy=scenario.policy,
        prequeue_at_us=start_us,
        opens_at_us=OPENS_US,
        closes_at_us=end_us + 1,
        last_us=start_us,
    )


def make_day(
    scenario: Scenario, room: Room, make_world: Callable[[Room], World] = PureWorld
) -> Day:
    """Make a day that begins with ``room`` as it stands, at its ``last_us``.

    Tickets of a room in full swing are taken up where they stand: those who wait look again within a
    minute, those on the form fill it in, and newcomers follow the profile from that instant on. The room
    then changes with the day; whoever needs it as it was passes a copy.
    """
    rng = np.random.default_rng(scenario.seed)
    end_us = room.opens_at_us + round(scenario.hours * 3_600_000_000)
    crowd = gather(
        scenario.profile, scenario.people, hours=scenario.hours, no_shows=scenario.no_shows, rng=rng
    )
    if room.issued:
        start_s = (room.last_us - room.opens_at_us) / 1_000_000
        there = incumbents(scenario.profile, room.issued, no_shows=scenario.no_shows, rng=rng)
        crowd = together(there, _coming_after(crowd, start_s))
    day = Day(
        make_world(room),
        _live_room(room, scenario.seed, lambda: day.now_us / 1_000_000),
        crowd,
        start_us=room.last_us,
        opens_us=room.opens_at_us,
        tick_count=max(1, (end_us - room.last_us) // TICK_US),
        rng=rng,
    )
    if room.issued:
        _take_up(day, room)
    return day


def _coming_after(crowd: Crowd, start_s: float) -> Crowd:
    later = crowd.arrives_s > start_s
    return Crowd(**{name: getattr(crowd, name)[later] for name in Crowd.__slots__})


def _take_up(day: Day, room: Room) -> None:
    """Put everybody who holds a ticket where it stands."""
    numbers = np.arange(room.issued)
    day.take_in(numbers, snapshot(room))
    ended = [
        number
        for number in numbers.tolist()
        if number in room.spent or number in room.left or number in room.lost
    ]
    people = day.visitors
    passed_over = (people.position < room.called) & (people.position >= 0)
    present = np.array([int(place) in room.present for place in people.position[numbers]], bool)
    away = passed_over[numbers] & ~present
    away[ended] = True
    away[list(room.passes)] = True
    away |= ~day.crowd.shows[numbers]
    people.drop(numbers[away])
    holders = np.array(sorted(room.passes), np.int64)
    people.serial[holders] = [room.passes[number].serial for number in holders.tolist()]
    left_us = np.array(
        [room.passes[number].expires_us - room.clock_us for number in holders.tolist()]
    )
    people.served[day.crowd.person[holders]] = True
    day.turns.fill(holders, left_us // TICK_US, 0)
    stay = numbers[~away]
    looks_s = day.rng.random(len(stay)) * LOOKS_WITHIN_S
    day.calendar.put(stay, 1 + (looks_s * TICKS_PER_S).astype(np.int64))


def _live_room(room: Room, seed: int, monotonic_s: Callable[[], float]) -> LiveRoom:
    """Return what one front door knows of the wave."""
    wave = Wave(
        id="simulated",
        programme_id="simulation",
        ordinal=1,
        prequeue_at=Moment(room.prequeue_at_us),
        opens_at=Moment(room.opens_at_us),
        closes_at=Moment(room.closes_at_us),
        policy=room.policy,
    )
    programme = Programme(
        id="simulation",
        name=NO_TEXTS,
        zone="WIB",
        selection="first-come",
        person_field="nik",
        help_line=NO_TEXTS,
        prepare=NO_TEXTS,
        fields=(),
        waves=(wave,),
    )
    secret = draw_secret(seed.to_bytes(8, "big"), programme.id, wave.id)
    return LiveRoom(programme, wave, secret, monotonic_s, room.policy)
