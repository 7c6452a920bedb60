"""Who comes, when, how patient? A profile and a seed become visitors, as arrays in order of arrival.

A visitor is one ticket. Bots and people with several devices hold more than one; the first that is
admitted serves its person, and the others fall silent.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gateway.simulation import arrivals
from gateway.simulation.arrivals import HABITS, Profile

GRID_S = 1.0  # on which the curve of arrivals is inverted

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Crowd:
    """Visitors by index; arrays of one length."""

    arrives_s: Floats  # from the opening; ascending
    person: Integers  # whose ticket it is
    habit: Integers  # index into HABITS
    shows: Flags  # False: joins, looks once, and is not seen again
    patience_s: Floats  # from joining, before anything is told
    says_goodbye: Flags  # presses the button when giving up
    form_s: Floats  # to fill the form in; infinite: abandoned
    sends: Integers  # registrations sent: 1, and one more each for a mistake and a double press
    share: Floats  # [0, 1): the visitor's own place in a spread

    def __len__(self) -> int:
        return len(self.arrives_s)


def gather(
    profile: Profile, people: int, *, hours: float, no_shows: float, rng: np.random.Generator
) -> Crowd:
    """Draw a crowd: ``people`` spread over the profile's curve up to ``hours`` after the opening."""
    comes_s = np.sort(_arrivals_s(profile, rng.random(people), hours))
    habits = list(HABITS.values())
    habit = rng.choice(len(habits), size=people, p=[habit.share for habit in habits])
    person = np.repeat(np.arange(people), np.array([h.tickets for h in habits])[habit])
    return Crowd(
        arrives_s=comes_s[person],
        person=person,
        habit=habit[person],
        **_traits(person, profile.compression, no_shows, rng),
    )


def incumbents(profile: Profile, count: int, *, no_shows: float, rng: np.random.Generator) -> Crowd:
    """Draw patient people who have come already: tickets ``0 … count - 1`` of a room in full swing."""
    person = np.arange(count)
    nobody = np.zeros(count, dtype=np.int64)
    return Crowd(
        arrives_s=np.full(count, -np.inf),
        person=person,
        habit=nobody,
        **_traits(person, profile.compression, no_shows, rng),
    )


def together(first: Crowd, then: Crowd) -> Crowd:
    """Return both crowds as one, those of ``first`` in front."""
    offset = int(first.person.max()) + 1 if len(first) else 0
    parts = {name: [getattr(first, name), getattr(then, name)] for name in Crowd.__slots__}
    parts["person"][1] = then.person + offset
    return Crowd(**{name: np.concatenate(pair) for name, pair in parts.items()})


def _arrivals_s(profile: Profile, shares: Floats, hours: float) -> Floats:
    """Invert the curve: the instant by which each share of the people has come."""
    grid = np.arange(-profile.early_s, hours * 3600 + GRID_S, GRID_S)
    come = np.array([profile.people(at_s) for at_s in grid])
    return np.asarray(np.interp(shares * come[-1], come, grid))


def _traits(
    person: Integers, compression: float, no_shows: float, rng: np.random.Generator
) -> dict[str, Any]:
    """Draw what each ticket's holder is like; patience and form are the person's, on all its devices."""
    count = len(person)
    people = int(person.max()) + 1 if count else 0
    form_s = rng.lognormal(np.log(arrivals.FORM_MEDIAN_S), arrivals.FORM_SIGMA, people)
    mistaken = rng.random(people) < arrivals.MISTAKEN
    form_s[mistaken] += arrivals.MISTAKE_S
    form_s /= compression
    form_s[rng.random(people) < arrivals.ABANDONS] = np.inf
    sends = 1 + mistaken + (rng.random(people) < arrivals.SENDS_TWICE)
    return {
        "shows": rng.random(count) >= no_shows,
        "patience_s": rng.exponential(arrivals.PATIENCE_S / compression, people)[person],
        "says_goodbye": (rng.random(people) >= arrivals.LEAVES_SILENTLY)[person],
        "form_s": form_s[person],
        "sends": sends[person],
        "share": rng.random(count),
    }
