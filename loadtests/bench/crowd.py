"""A crowd in virtual time: everybody behaves like the page, some never come back, some come back late.

Whoever has joined asks for its place and then as told: the board while far, its place when near, a pass
once called. A no-show has closed the page before the opening. A late returner opens it again, with all
of its carriage (a train leaves a tunnel), when its turn may be long past.
"""

import random
from dataclasses import dataclass, field
from functools import partial

import redis

from gateway.core.policy import Policy
from gateway.ports import Ended, NotYet
from gateway.services.admission import PassIssued
from gateway.services.front_door import Place
from loadtests.bench.doors import Door
from loadtests.bench.scripts import Patch, VirtualScripts, programme_of, unpatched
from loadtests.looks import far_poll_s

START_US = 1_586_606_400_000_000
QUANTUM_US = 10_000  # both doors send what has collected once in it
DOORS = 2
NETWORK_US = 40_000  # from an answer to the request that follows at once
JITTER = 0.15  # the page's
FAR_S = 15.0  # told to wait longer than this, the page asks the board
WAIT_S_MIN = 0.2
JOIN_S = 20.0  # everybody joins within so long before the opening
SURPLUS = 1.15  # present visitors, of those that can be admitted in the run
COMMUTERS_SHARE = 0.02  # no-shows that come back, of the whole crowd
CARRIAGE = 50  # so many at once


@dataclass(frozen=True, slots=True)
class Scenario:
    """One opening."""

    no_show_share: float
    rate_per_s: float
    burst: int
    check_in_s: int
    seconds: float  # after the opening
    people_min: int
    seed: int = 1
    poll_budget_per_s: int = 2_000

    @property
    def people(self) -> int:
        """How many join: enough that the present ones outlast the run."""
        needed = self.rate_per_s * self.seconds * SURPLUS / (1 - self.no_show_share)
        return max(self.people_min, round(needed))


@dataclass(slots=True)
class Story:
    """What happened: instants are us after the opening."""

    scenario: Scenario
    passes: list[tuple[int, int]] = field(default_factory=list)  # (instant, position), as issued
    arrived: dict[int, int] = field(default_factory=dict)  # position -> came when called already
    unserved: list[int] = field(default_factory=list)  # positions called long before the end
    stocks: list[float] = field(
        default_factory=list
    )  # of a real run: called and there, beside the aim
    asks: list[int] = field(default_factory=list)  # requests in each second after the opening


def live(client: redis.Redis, scenario: Scenario, patch: Patch = unpatched) -> Story:
    """Lead one crowd from joining to the end of the run."""
    client.flushall()
    return _Crowd(client, scenario, patch).live()


class _Crowd:
    def __init__(self, client: redis.Redis, scenario: Scenario, patch: Patch) -> None:
        self._scenario = scenario
        self._rng = random.Random(scenario.seed)
        opens_us = START_US + round(JOIN_S * 1e6)
        closes_us = opens_us + 3_600_000_000
        programme = programme_of(_policy(scenario), opens_us, closes_us)
        self._opens_us = opens_us
        self._scripts = VirtualScripts(client, programme.waves[0], patch)
        self._scripts.create(START_US)
        self._doors = [Door(programme, self._scripts, self._rng) for _ in range(DOORS)]
        self._quanta = round((JOIN_S + scenario.seconds) * 1e6) // QUANTUM_US
        self._due: list[list[int]] = [[] for _ in range(self._quanta)]
        self._doing: dict[int, str] = {}  # number -> what it asks next
        self._quantum = 0
        self._story = Story(scenario, asks=[0] * round(scenario.seconds))
        self._seen_us: dict[int, int] = {}  # number -> last check-in
        self._called: list[tuple[int, int]] = []  # (instant, called), once a second

    def live(self) -> Story:
        joined = 0
        for quantum in range(self._quanta):
            self._quantum = quantum
            joined += self._join(joined)
            now_us = START_US + self._quantum * QUANTUM_US
            visitors = self._due[self._quantum]
            for index, door in enumerate(self._doors):
                door.move_to(now_us + index * QUANTUM_US // DOORS)
                for number in visitors[index::DOORS]:
                    self._act(door, number)
                door.flush()
            self._due[self._quantum] = []
            self._note(now_us - self._opens_us, len(visitors))
        self._close()
        return self._story

    def _join(self, joined: int) -> int:
        """Let those join whose moment it is; the last one does so a second before the opening."""
        share = (self._quantum + 1) * QUANTUM_US / (JOIN_S - 1) / 1e6
        wanted = round(self._scenario.people * min(1.0, share)) - joined
        if wanted <= 0 or self._quantum == 0:  # the first tick opens the door
            return 0
        answer = self._scripts.run("join", START_US + self._quantum * QUANTUM_US, [wanted])
        for number in range(answer[1], answer[1] + wanted):
            if self._rng.random() >= self._scenario.no_show_share:
                self._doing[number] = "place"
                self._due[self._quantum].append(number)
            elif number % CARRIAGE == 0 and self._rng.random() < COMMUTERS_SHARE:
                self._board_train(number)
        return wanted

    def _board_train(self, first: int) -> None:
        """Have a carriage of people come back later; who is there already does not mind."""
        after_s = self._rng.uniform(0.2, 0.9) * self._scenario.seconds
        quantum = round((JOIN_S + after_s) * 1e6) // QUANTUM_US
        self._due[quantum] += [-1 - number for number in range(first, first + CARRIAGE)]

    def _act(self, door: Door, number: int) -> None:
        if number < 0:
            number = -1 - number
            position = door.room.position(number)
            if number in self._doing or position is None or number >= self._scenario.people:
                return
            self._doing[number] = "place"
        match self._doing[number]:
            case "place":
                door.place(number, partial(self._placed, door, number))
            case "board":
                self._boarded(door, number)
            case "pass":
                door.claim(number, partial(self._claimed, door, number))

    def _placed(self, door: Door, number: int, place: Place) -> None:
        if place["state"] == "called":
            seen_us = self._seen_us.get(number, 0)
            if door.now_us - seen_us > self._scenario.check_in_s * 1_000_000:
                self._story.arrived[place["position"]] = door.now_us - self._opens_us
            self._later(number, "pass", 0.0)
            return
        if place["state"] == "waiting" and place["position"] < door.room.current().near:
            self._seen_us[number] = door.now_us
        far = place["state"] == "prequeue" or place["poll_s"] > FAR_S
        self._later(number, "board" if far else "place", self._jittered(place["poll_s"]))

    def _boarded(self, door: Door, number: int) -> None:
        board, position = door.board(), door.room.position(number)
        if position is None or board["phase"] != "open" or position < board["near"]:
            self._later(number, "place", 0.0)
        else:
            self._later(number, "board", self._jittered(far_poll_s(position, board)))

    def _claimed(self, door: Door, number: int, answer: PassIssued | NotYet | Ended) -> None:
        if isinstance(answer, NotYet):
            doing = "pass" if answer.state == "called" else "place"
            self._later(number, doing, self._jittered(answer.retry_after_us / 1e6))
        elif isinstance(answer, PassIssued):
            position = door.room.position(number)
            assert position is not None
            self._story.passes.append((door.now_us - self._opens_us, position))
            self._doing[number] = "served"

    def _jittered(self, seconds: float) -> float:
        return max(WAIT_S_MIN, seconds * self._rng.uniform(1 - JITTER, 1 + JITTER))

    def _later(self, number: int, doing: str, seconds: float) -> None:
        self._doing[number] = doing
        quantum = self._quantum + max(1, round(max(seconds * 1e6, NETWORK_US)) // QUANTUM_US)
        if quantum < self._quanta:
            self._due[quantum].append(number)

    def _note(self, at_us: int, asks: int) -> None:
        if at_us >= 0:
            self._story.asks[at_us // 1_000_000] += asks
            if at_us % 1_000_000 == 0:
                self._called.append((at_us, self._doors[0].room.current().called))

    def _close(self) -> None:
        """Name those who were there, called two check-ins before the end, and have no pass."""
        end_us = round(self._scenario.seconds * 1e6)
        limit_us = end_us - 2 * self._scenario.check_in_s * 1_000_000
        called = max((called for at_us, called in self._called if at_us <= limit_us), default=0)
        arrived, position_of = self._story.arrived, self._doors[0].room.position
        positions = (position_of(n) for n, doing in self._doing.items() if doing != "served")
        self._story.unserved = [
            position
            for position in positions
            if position is not None and position < called and arrived.get(position, 0) <= limit_us
        ]


def _policy(scenario: Scenario) -> Policy:
    return Policy(
        rate_per_s=scenario.rate_per_s,
        burst=scenario.burst,
        form_cap=1_000_000,
        quota=10_000_000,
        check_in_s=scenario.check_in_s,
        intake_cap=10_000_000,
        poll_budget_per_s=scenario.poll_budget_per_s,
    )
