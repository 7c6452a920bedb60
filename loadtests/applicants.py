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

from loadtests.profiles import Habit, Profile

FORM_S_MAX = 8.0  # the lognormal's long tail would outlast the run
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
    """One virtual applicant."""

    seed: int
    id: int
    habit: Habit
    arrives_s: float  # from the opening; negative: before it
    form_s: float  # to fill the form in
    patience: int  # looks at its place after which a leaver gives up
    leaves_silently: bool

    def random(self, purpose: str) -> Random:
        """Return this person's own dice for one purpose: always the same."""
        return Random(f"{self.seed}/{self.id}/{purpose}")


def make_person(profile: Profile, seed: int, person_id: int) -> Person:
    """Return applicant ``person_id`` of a crowd."""
    dice = Random(f"{seed}/{person_id}/person")
    form_s = dice.lognormvariate(math.log(profile.form_median_s), profile.form_sigma)
    return Person(
        seed=seed,
        id=person_id,
        habit=_habit(profile, dice.random()),
        arrives_s=_arrival_s(profile, dice),
        form_s=min(form_s, FORM_S_MAX),
        patience=dice.randint(1, 4),
        leaves_silently=dice.random() < 0.7,
    )


def _habit(profile: Profile, dice: float) -> Habit:
    for habit, share in profile.shares.items():
        if dice < share:
            return habit
        dice -= share
    return Habit.PATIENT


def _arrival_s(profile: Profile, dice: Random) -> float:
    group, share = dice.random(), dice.random()
    if group < profile.early_share:
        per_s = math.log(2) / profile.doubling_s
        least = math.exp(-per_s * profile.early_s)  # the density at the first arrival
        return math.log(least + share * (1 - least)) / per_s
    if group < profile.early_share + profile.rush_share:
        return min(dice.expovariate(1 / profile.rush_mean_s), profile.late_s)
    return share * profile.late_s


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
