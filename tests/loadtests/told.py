"""A gateway that says what it is told to say, and people to ask it."""

import math
import random
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from gateway.core.draw import Draw
from gateway.core.form import Choice, Field, Kind, json_schema
from loadtests.applicants import Person, make_person
from loadtests.bots import Bot
from loadtests.conduct import Applicant, Household
from loadtests.scenario import Scenario
from loadtests.steps import Answer, Ask, Step, Wait

SEED = random.randrange(10**6)
SMOKE = Scenario("smoke", people=1_000, seed=SEED)
KINDS: tuple[Kind, ...] = ("nik", "digits", "text", "birth-date", "phone", "email", "choice")
TEXTS = {"id": "x", "en": "x"}


def field_of(kind: Kind, dice: random.Random) -> Field:
    least = dice.randrange(1, 20) if kind in ("digits", "text") else 0
    most = least + dice.randrange(0, 30) if least else 0
    choices = tuple(Choice(f"c{n}", TEXTS) for n in range(dice.randint(1, 4)))
    required = kind == "nik" or dice.random() < 0.5
    label = {"id": f"{kind}?", "en": f"{kind}?"}
    return Field(
        kind, kind, required, label, TEXTS, least, most, choices if kind == "choice" else ()
    )


FORM = json_schema(
    [field_of(kind, random.Random(1)) for kind in ("nik", "email", "text")],
    "id",
)
AT, OPENS_AT = "2026-11-24T19:00:00.000+07:00", "2026-11-24T18:59:00.000+07:00"
DRAW = Draw(bytes(32), cohort=20)
BOARD: Mapping[str, Any] = {
    "poll_s": 10.0, "approach_per_s": 2.0, "advance_per_s": 2.0, "near": 0, "called": 0,
    "stretch": 1.0, "phase": "open", "places_left": 50, "at": AT, "opens_at": OPENS_AT,
    "cohort": 0, "draw": {"seed": DRAW.seed.hex()},
}  # fmt: skip
WAITING: Mapping[str, Any] = {
    "state": "waiting", "poll_s": 2.0, "position": 9, "eta_s": [10, 20], "outlook": "likely", "at": AT,
}  # fmt: skip
CALLED = {**WAITING, "state": "called", "poll_s": 1.0, "eta_s": None}
PASS = {"pass": "p", "expires_at": "2036-11-24T21:00:00.000+07:00"}
USUAL = {
    "home": Answer(200),
    "page": Answer(200),
    "board": Answer(200, BOARD),
    "join": Answer(201, {"ticket": "ticket-of-9", "number": 9, "poll_s": 2.0}),
    "place": Answer(200, CALLED),
    "leave": Answer(204),
    "claim": Answer(201, PASS),
    "extend": Answer(200, {"expires_at": "2036-11-24T21:00:00.000+07:00"}),
    "form": Answer(200, FORM),
    "submit": Answer(201, {"receipt": "R", "state": "received"}),
    "receipt": Answer(200, {"state": "recorded"}),
}
SHED = Answer(503, {"retry_in_ms": 3_000}, retry_s=3.0)
THROTTLED = Answer(429, {"type": "https://x/problems/too-many-requests"}, retry_s=3.0)


@dataclass
class Told:
    """A gateway that answers each request by its name: in turn, the last one for ever.

    Whoever shows no ticket has no place.
    """

    answers: dict[str, list[Answer]] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    notes: list[Mapping[str, Any]] = field(default_factory=list)
    now_s: float = 1_000.0
    household: Household = field(default_factory=Household)
    verifies: bool = True  # tickets

    def lead(self, person: Person, *, loses: bool = False, jitter: bool = True) -> str:
        """Lead one applicant to its end, without a clock; its network ``loses`` what it loses, or nothing."""
        if person.is_bot:
            traveller: Bot | Applicant = Bot(person, "w-1", self.notes.append, jitter=jitter)
        else:
            traveller = Applicant(
                *(person, "w-1", self.notes.append),
                household=self.household,
                compression=15.0,
                jitter=jitter,
            )
        if not loses:
            traveller.dice = _Lucky(f"{person.seed}")
        way, answer = traveller.live(), None
        try:
            while len(self.steps) < 300:
                step = next(way) if answer is None else way.send(answer)
                self.steps.append(step)
                answer = self.answer(step) if isinstance(step, Ask) else self.wait(step)
        except StopIteration as end:
            outcome: str = end.value
            return outcome
        raise AssertionError("the applicant goes round in circles")

    def wait(self, step: Wait) -> Answer:
        self.now_s += step.seconds
        return Answer(0, answered_s=self.now_s)

    def answer(self, ask: Ask) -> Answer:
        queue = self.answers.get(ask.name) or [USUAL[ask.name]]
        if ask.name == "place" and not ask.cookie:
            queue = [Answer(401)]
        elif ask.name == "place" and self.verifies and not re.search(r"ticket-of-\d", ask.cookie):
            queue = [Answer(403)]
        answer = queue.pop(0) if len(queue) > 1 else queue[0]
        asked_s, self.now_s = self.now_s, self.now_s + 0.01
        return replace(answer, asked_s=asked_s, answered_s=self.now_s)

    def asks(self, *names: str) -> list[Ask]:
        asks = [step for step in self.steps if isinstance(step, Ask)]
        return [ask for ask in asks if not names or ask.name in names]

    def waits_after(self, name: str) -> list[float]:
        """Return how long it waited right after each request of this name."""
        return [
            step.seconds
            for before, step in zip(self.steps, self.steps[1:], strict=False)
            if isinstance(step, Wait) and isinstance(before, Ask) and before.name == name
        ]

    def told(self, event: str) -> list[Mapping[str, Any]]:
        return [note for note in self.notes if note["event"] == event]


class _Lucky(random.Random):
    """Dice with which nothing is ever lost."""

    def random(self) -> float:
        return max(0.05, super().random())


def person_with(habit: str = "patient", **changes: Any) -> Person:
    """Return somebody to whom nothing happens but ``changes``."""
    quiet: dict[str, Any] = {
        "patience_s": math.inf, "away_after_s": math.inf, "abandons": False, "mistake_s": 0.0,
        "sends_twice": False, "looks_again": False,
    }  # fmt: skip
    return replace(make_person(SMOKE, 7), habit=habit, **quiet | changes)


PATIENT = person_with()
