"""Which life goes on next? All of them in one heap, by the instant at which each is due.

A life is due by the clock, whatever the gateway does (an open model). Couriers, who are few, take those
that are due and carry their requests; how late each was taken is the generator's own delay, measured.
"""

import heapq
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from typing import Protocol

from loadtests.applicants import Person, make_person
from loadtests.bots import Bot
from loadtests.browser import Note
from loadtests.conduct import OTHER_DEVICE_S, Applicant, Household
from loadtests.scenario import Scenario
from loadtests.steps import Answer, Ask, Step, Way
from loadtests.visitors import Visitor


class Traveller(Protocol):
    """Whoever has a way to go."""

    person: Person
    pass_: str

    def live(self) -> Way:
        """Go it."""


class Life:
    """One way through the wave, and the step at which it stands."""

    __slots__ = ("_traveller", "_way", "habit", "step")

    def __init__(self, traveller: Traveller) -> None:
        self._traveller, self._way = traveller, traveller.live()
        self.habit = traveller.person.habit
        self.step: Step | None = next(self._way)  # None: it has ended

    @property
    def holds_pass(self) -> bool:
        """Whether it was admitted."""
        return bool(self._traveller.pass_)

    def go_on(self, answer: Answer) -> None:
        """Take the next step."""
        try:
            self.step = self._way.send(answer)
        except StopIteration:
            self.step = None


Begin = Callable[[], Life]


class Diary:
    """Who is due when. Instants are of one clock."""

    def __init__(self) -> None:
        self._due: list[tuple[float, int, Life | Begin]] = []
        self._serials = count()

    def __len__(self) -> int:
        return len(self._due)

    def add(self, due_s: float, life: Life | Begin) -> None:
        """Note a life, or one that is still to begin."""
        heapq.heappush(self._due, (due_s, next(self._serials), life))

    def take(self, now_s: float) -> Iterator[tuple[float, Life | Begin]]:
        """Yield all that are due, the longest due first."""
        while self._due and self._due[0][0] <= now_s:
            due_s, _, life = heapq.heappop(self._due)
            yield due_s, life

    def waiting(self, now_s: float) -> int:
        """Return how many were told to look again later than now, and have no pass to lose by it."""
        return sum(
            due_s > now_s and isinstance(life, Life) and not life.holds_pass
            for due_s, _, life in self._due
        )


def carry(life: Life, ask: Callable[[Ask], Answer], rested: Answer) -> float | None:
    """Lead a life to its next wait and return how long that is; None: it has ended.

    ``rested`` answers the wait at which it stood.
    """
    if not isinstance(life.step, Ask):
        life.go_on(rested)
    while isinstance(life.step, Ask):
        life.go_on(ask(life.step))
    return None if life.step is None else life.step.seconds


def lives_of(
    person: Person, scenario: Scenario, wave: str, note: Note, *, host_cookies: bool
) -> Sequence[tuple[float, Begin]]:
    """Return the lives of one person: from when, after the opening, each is to be begun."""
    more = {"host_cookies": host_cookies, "jitter": scenario.jitter}
    profile = scenario.profile
    if profile.looks:
        every_s = profile.open_s / profile.looks
        visitor = Visitor(person, wave, note, looks=profile.looks, every_s=every_s, **more)
        return [(person.arrives_s, lambda: Life(visitor))]
    if person.is_bot:
        bot = Bot(person, wave, note, **more)
        return [(person.arrives_s, lambda: Life(bot))]
    household = Household()

    def begin() -> Life:
        applicant = Applicant(
            *(person, wave, note),
            household=household,
            compression=profile.compression,
            **more,
        )
        return Life(applicant)

    return [
        (person.arrives_s + OTHER_DEVICE_S * device, begin) for device in range(person.ways.tickets)
    ]


def crowd(scenario: Scenario, index: int, processes: int) -> Iterator[Person]:
    """Yield the people of one process of the generator."""
    for person_id in range(index, scenario.people, processes):
        yield make_person(scenario, person_id)
