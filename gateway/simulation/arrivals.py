"""When do people come, and what are they like? Shapes of a launch day as data, one row per profile.

Instants are seconds from the opening. The crowd before it doubles every ``doubling_s``; after it come
waves that fade by e every so many seconds, and a steady rest: people per second at ``t >= 0`` are
``sum(per_s * e^(-t / fading_s)) + steady_per_s``. The shapes are fitted to public reports of 11 April
2020: 80,000 people in the first minute, 1.43 million in 21 hours. Habits are shares of people, the
figures of the launch-day model; where that model says "judgement", so do these numbers.

Nothing but the standard library is needed here, so that a load test can draw its crowd from it too.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fading:
    """A wave of arrivals after the opening."""

    per_s: float  # people per second at the opening
    fading_s: float  # after which it has fallen to 1/e


@dataclass(frozen=True, slots=True)
class Profile:
    """The arrivals of one launch."""

    note: str
    hours: float  # from the opening to the end
    early: float  # people who come before the opening
    early_s: float  # how long before the opening the first of them comes
    doubling_s: float
    waves: tuple[Fading, ...]
    steady_per_s: float
    policy: Mapping[str, int | float]  # of its wave, unless another is given

    def people(self, until_s: float | None = None) -> float:
        """Return how many people come until so long after the opening; to the end unless said."""
        until_s = self.hours * 3600 if until_s is None else until_s
        if until_s < 0:
            return self.early * self._grown(until_s)
        fading = sum(w.per_s * w.fading_s * -math.expm1(-until_s / w.fading_s) for w in self.waves)
        return self.early + fading + self.steady_per_s * until_s

    def _grown(self, at_s: float) -> float:
        """Return the share of the early who have come ``at_s`` (negative) before the opening."""
        least = 2 ** (-self.early_s / self.doubling_s)
        return max(0.0, (2 ** (at_s / self.doubling_s) - least) / (1 - least))


@dataclass(frozen=True, slots=True)
class Habit:
    """What sets some people apart from the patient ones."""

    share: float  # of people
    tickets: int = 1  # devices or sessions that each join
    reload_s: float = math.inf  # a person's mean time between two loads of the whole page
    hammer_s: float = math.inf  # and between two looks at the place beside those asked for


HABITS: Mapping[str, Habit] = {
    "patient": Habit(0.70),
    "checker": Habit(0.15, reload_s=14.0),  # every 8 to 20 s, whatever the page says
    "hammerer": Habit(0.05, reload_s=2.0),  # once or twice a second, resting now and then
    "multi-device": Habit(0.07, tickets=2),
    "bot": Habit(0.03, tickets=4, hammer_s=0.25),
}

PATIENCE_S = 3 * 3600.0  # mean; exponential
PATIENCE_IF_TOLD = 1.5  # times as patient whoever is told how long it takes
PATIENCE_IF_UNLIKELY = 0.3  # and whoever is told that the places will hardly suffice
LEAVES_SILENTLY = 0.7  # of those who give up; the others press the button
LOOKS_AGAIN = 0.4  # of those who are told "full"; twice
FORM_MEDIAN_S, FORM_SIGMA = 180.0, 0.6  # lognormal
ABANDONS = 0.03  # of those on the form: lost on the way, their passes expire (judgement)
MISTAKEN, MISTAKE_S = 0.08, 30.0  # one field wrong once, and the time to put it right
SENDS_TWICE = 0.05

_PRAKERJA: Mapping[str, int | float] = {  # as in config/programmes/prakerja-2020.toml
    "rate_per_s": 50.0,
    "burst": 50,
    "form_cap": 12_000,
    "quota": 164_000,
    "poll_budget_per_s": 8_000,
}
_LAUNCH = {"early": 330_000.0, "early_s": 3600.0, "doubling_s": 720.0}
_RUSH = (Fading(1_410.0, 210.0), Fading(100.0, 3600.0))

PROFILES: Mapping[str, Profile] = {
    "launch-2020": Profile(
        note="1.3 million people in twelve and a half hours, first come, first served",
        hours=12.457,  # by when the curve has brought 1.3 million
        waves=_RUSH,
        steady_per_s=7.0,
        policy=_PRAKERJA,
        **_LAUNCH,
    ),
    "april-2020": Profile(
        note="1.43 million in 21 hours, all of whom may register: participants are chosen later",
        hours=21.0,
        waves=_RUSH,
        steady_per_s=5.872,  # what is missing to the 1.43 million
        policy={**_PRAKERJA, "quota": 2_000_000},
        **_LAUNCH,
    ),
    "flat": Profile(
        note="as many in every second of one hour, nobody before the opening",
        hours=1.0,
        early=0.0,
        early_s=0.0,
        doubling_s=720.0,
        waves=(),
        steady_per_s=100.0,
        policy=_PRAKERJA,
    ),
}
