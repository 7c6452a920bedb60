"""What does a crowd look like? Arrivals, habits and patience, as data: one row per profile.

Arrivals are seconds from the opening. Those before it double in number every ``doubling_s``; after it
comes the rush, then a steady rest. The shapes and shares are those of the launch-day model, with the
times divided by fifteen; where that model says "judgement", so do these numbers.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Habit(StrEnum):
    """What sets one applicant apart from the others."""

    PATIENT = "patient"
    RELOADER = "reloader"  # presses reload in the queue
    DOUBLE = "double"  # sends the form twice
    LEAVER = "leaver"  # gives up before its turn
    MISTAKEN = "mistaken"  # fills one thing in wrong at first


@dataclass(frozen=True, slots=True)
class Profile:
    """One crowd, and the wave it meets. The quota is one place for each of the people."""

    people: int
    seconds: int  # from the first arrival to the end
    rate_per_s: float
    early_s: float  # how long before the opening the first one comes
    early_share: float  # of the people
    doubling_s: float
    rush_share: float
    rush_mean_s: float  # after the opening, exponential
    late_s: float  # the rest comes evenly until so long after the opening
    form_median_s: float  # to fill the form in, lognormal
    form_sigma: float
    shares: Mapping[Habit, float]  # of the people; the others are patient


SHARES: Mapping[Habit, float] = {
    Habit.RELOADER: 0.10,
    Habit.DOUBLE: 0.05,
    Habit.LEAVER: 0.05,
    Habit.MISTAKEN: 0.08,
}

PROFILES: Mapping[str, Profile] = {
    "smoke": Profile(
        people=2_000,
        seconds=60,
        rate_per_s=60.0,
        early_s=8.0,
        early_share=0.35,
        doubling_s=2.4,
        rush_share=0.40,
        rush_mean_s=4.0,  # one Locust process sends some 1,500 requests a second, not more
        late_s=20.0,
        form_median_s=2.0,
        form_sigma=0.6,
        shares=SHARES,
    ),
    "tiny": Profile(  # proves the whole road in a quarter of a minute
        people=40,
        seconds=30,
        rate_per_s=20.0,
        early_s=2.0,
        early_share=0.35,
        doubling_s=0.6,
        rush_share=0.40,
        rush_mean_s=0.5,
        late_s=2.0,
        form_median_s=0.5,
        form_sigma=0.6,
        shares=SHARES,
    ),
}
