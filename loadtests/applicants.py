"""Who is applicant number n? When it comes, what it is like, what it writes into the form.

Everything follows from the seed and the person's number, so a run can be repeated, and the verdict knows
what each person must have sent. Values are written as the gateway stores them (telephone numbers with
+62), so that what is recorded can be compared character by character.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from random import Random
from typing import Any

from gateway.simulation import arrivals
from gateway.simulation.arrivals import HABITS, Habit
from loadtests.scenario import Scenario

FORM_OF_TAIL_MAX = 0.7  # the lognormal's long end would outlast the run
AWAY_WITHIN_S = 600.0  # of a launch day, after beginning to wait
SERIALS, DISTRICTS, REGENCIES = 9_999, 99, 99
PERSONS_MAX = SERIALS * DISTRICTS * REGENCIES  # as many people get different NIKs
PROVINCES = ("11", "31", "32", "33", "34", "35", "36", "51", "64", "73", "94")
WOMEN_DAY_OFFSET = 40
FIRST_NAMES = (
    "Agus",
    "Dewi",
    "Eko",
    "Nur'aini",
    "Putri",
    "Rizky",
    "Siti",
    "Wayan",
    "Yohanes",
    "Zoë",
)
LAST_NAMES = ("Hidayat", "Lestari", "Nasution", "Pratama", "Saragih", "Wijaya", "Wulandari")
FIRST_BIRTH, LAST_BIRTH = date(1955, 1, 1), date(2002, 4, 11)

Schema = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Person:
    """One virtual applicant. Times are the run's seconds."""

    seed: int
    id: int
    habit: str  # in HABITS
    arrives_s: float  # from the opening; negative: before it
    patience_s: float  # from when waiting begins, before anything is told
    leaves_silently: bool
    away_after_s: float  # of waiting, the phone loses the network; infinite: never
    away_s: float  # for so long
    form_s: float  # to fill the form in
    abandons: bool  # the form: its pass expires
    mistake_s: float  # to put a mistake right; 0: there is none
    sends_twice: bool
    looks_again: bool  # when told that the wave is over

    @property
    def ways(self) -> Habit:
        """Return what sets people of its habit apart."""
        return HABITS[self.habit]

    @property
    def is_bot(self) -> bool:
        """Whether it is nobody, in a loop."""
        return self.habit == "bot"

    @property
    def obeys(self) -> bool:
        """Whether it asks when its page is told to, and at no other time."""
        return self.ways.reloads_s is None and not self.is_bot

    def random(self, purpose: str) -> Random:
        """Return this person's own dice for one purpose: always the same."""
        return Random(f"{self.seed}/{self.id}/{purpose}")


def make_person(scenario: Scenario, person_id: int) -> Person:
    """Return applicant ``person_id`` of a crowd."""
    dice = Random(f"{scenario.seed}/{person_id}/person")
    profile = scenario.profile
    pressed = 1 / profile.compression  # what takes people a second takes them so long in the run
    arrives_s = scenario.arrives_s(dice.random())
    form_s = dice.lognormvariate(math.log(arrivals.FORM_MEDIAN_S), arrivals.FORM_SIGMA)
    goes_away = dice.random() < arrivals.AWAY
    return Person(
        seed=scenario.seed,
        id=person_id,
        habit=_habit(scenario, arrives_s, dice),
        arrives_s=arrives_s,
        patience_s=dice.expovariate(1 / arrivals.PATIENCE_S) * pressed,
        leaves_silently=dice.random() < arrivals.LEAVES_SILENTLY,
        away_after_s=dice.uniform(0, AWAY_WITHIN_S) * pressed if goes_away else math.inf,
        away_s=dice.uniform(*arrivals.AWAY_S) * pressed,
        form_s=min(form_s * pressed, FORM_OF_TAIL_MAX * profile.tail_s),
        abandons=dice.random() < arrivals.ABANDONS,
        mistake_s=arrivals.MISTAKE_S * pressed if dice.random() < arrivals.MISTAKEN else 0.0,
        sends_twice=dice.random() < arrivals.SENDS_TWICE,
        looks_again=dice.random() < arrivals.LOOKS_AGAIN,
    )


def _habit(scenario: Scenario, arrives_s: float, dice: Random) -> str:
    bots, share = scenario.bots, dice.random()
    if bots and bots.from_s <= arrives_s < bots.until_s and dice.random() < bots.share:
        return "bot"
    for habit, part in scenario.shares.items():
        if share < part:
            return habit
        share -= part
    return "patient"


def fill(schema: Schema, person: Person) -> dict[str, str]:
    """Fill the form in: every required field, and the optional ones as the person pleases."""
    dice = person.random("form")
    values: dict[str, str] = {}
    for name, described in schema["properties"].items():
        value = _WRITERS[described["x-kind"]](described, person)
        if name in schema["required"] or dice.random() < 0.5:
            values[name] = value
    return values


def spoil(schema: Schema, values: Mapping[str, str], person: Person) -> dict[str, str]:
    """Return the form with one mistake in it."""
    dice = person.random("mistake")
    name = dice.choice(schema["required"])
    strict = schema["properties"][name]["x-kind"] != "text"  # nearly anything is a text
    wrong = [{**values, name: ""}, {**values, "shoe_size": "42"}]
    if strict:
        wrong.append({**values, name: f"{values[name]}?"})
    return dice.choice(wrong)


def nik_of(person: Person) -> str:
    """Return a NIK of the right structure, another one for each person."""
    rest, serial = divmod(person.id, SERIALS)
    regency, district = divmod(rest, DISTRICTS)
    if not 0 <= regency < REGENCIES:
        raise ValueError(f"person {person.id}: only {PERSONS_MAX} people have NIKs of their own")
    dice = person.random("nik")
    born = _birth(person)
    day = born.day + dice.choice((0, WOMEN_DAY_OFFSET))
    place = f"{dice.choice(PROVINCES)}{regency + 1:02}{district + 1:02}"
    return f"{place}{day:02}{born:%m%y}{serial + 1:04}"


def _birth(person: Person) -> date:
    days = (LAST_BIRTH - FIRST_BIRTH).days
    return FIRST_BIRTH + timedelta(days=person.random("birth").randrange(days))


def _digits(described: Schema, person: Person) -> str:
    bounds = re.fullmatch(r"\^\[0-9\]\{(\d+),(\d+)\}\$", described["pattern"])
    if bounds is None:
        raise ValueError(f"not the pattern of a number: {described['pattern']}")
    dice = person.random(described["title"])
    length = dice.randint(int(bounds[1]), int(bounds[2]))
    return "".join(dice.choice("0123456789") for _ in range(length))


def _text(described: Schema, person: Person) -> str:
    dice = person.random(described["title"])
    name = f"{dice.choice(FIRST_NAMES)} {dice.choice(LAST_NAMES)}"
    return name[: described["maxLength"]].rstrip().ljust(described["minLength"], "a")


def _phone(_: Schema, person: Person) -> str:
    return f"+628{person.random('phone').randrange(10**9):09}"


def _email(_: Schema, person: Person) -> str:
    return f"applicant.{person.id}@mail.example.id"


def _choice(described: Schema, person: Person) -> str:
    options: Sequence[Schema] = described["oneOf"]
    return str(person.random(described["title"]).choice(options)["const"])


_WRITERS: Mapping[str, Callable[[Schema, Person], str]] = {
    "nik": lambda _, person: nik_of(person),
    "birth-date": lambda _, person: _birth(person).isoformat(),
    "digits": _digits,
    "text": _text,
    "phone": _phone,
    "email": _email,
    "choice": _choice,
}
