"""Which life goes on next? All of them in one heap, by the instant at which each is due.

A life is due by the clock, whatever the gateway does (an open model). Couriers, who are few, take those
that are due and carry their requests; how late each was taken is the generator's own delay, measured.
"""

import heapq
from collections.abc import Callable, Iterator, Sequence
from itertools import count

from loadtests.applicants import Person, make_person
from loadtests.bots import Bot
from loadtests.browser import Note
from loadtests.conduct import OTHER_DEVICE_S, Applicant, Household
from loadtests.scenario import Scenario
from loadtests.steps import Answer, Ask, Step, Way
from loadtests.visitors import Visitor


class Life:
    """One way through the wave, and the step at which it stands."""

    __slots__ = ("_way", "habit", "step")

    def __init__(self, way: Way, habit: str) -> None:
        self._way, self.habit = way, habit
        self.step: Step | None = next(way)  # None: it has ended

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

    def next_s(self) -> float | None:
        """Return when the next one is due; None: nobody is left."""
        return self._due[0][0] if self._due else None


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
        return [(person.arrives_s, lambda: Life(visitor.live(), person.habit))]
    if person.is_bot:
        bot = Bot(person, wave, note, **more)
        return [(person.arrives_s, lambda: Life(bot.live(), person.habit))]
    household = Household()

    def begin() -> Life:
        applicant = Applicant(
            *(person, wave, note),
            household=household,
            compression=profile.compression,
            **more,
        )
        return Life(applicant.live(), person.habit)

    return [
        (person.arrives_s + OTHER_DEVICE_S * device, begin) for device in range(person.ways.tickets)
    ]


def crowd(scenario: Scenario, index: int, processes: int) -> Iterator[Person]:
    """Yield the people of one process of the generator."""
    for person_id in range(index, scenario.people, processes):
        yield make_person(scenario, person_id)
