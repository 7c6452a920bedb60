"""When do people come, and what are they like? Shapes of a launch day as data, one row per profile.

Instants are seconds from the opening. The crowd before it doubles every ``doubling_s``; after it come
waves that fade by e every so many seconds, a steady rest, and a surge before the closing: people per
second at ``t >= 0`` are ``sum(per_s * e^(-t / fading_s)) + steady_per_s``. The shapes are fitted to public
reports of 11 April 2020: 80,000 people in the first minute, 1.43 million in 21 hours. Habits are shares of
people, the figures of the launch-day model; where that model says "judgement", so do these numbers.

``gateway simulate`` and the load test draw their crowds from this table. Nothing but the standard library
is needed here, so that a load generator can.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


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
    surge_per_s: float = 0.0  # more people per second, who remember the closing
    surge_s: float = 0.0  # how long before it they begin to
    compression: float = (
        1.0  # seconds of a launch day in one of these: patience and forms shrink by it
    )
    prequeue_s: float = (
        0.0  # how long before the opening tickets are given, where requests are sent
    )
    tail_s: float = 0.0  # after the closing, where requests are sent: for those on the form
    requests_min: int = 0  # sent and answered, or the run was not what it is meant to be
    looks: int = 0  # everybody's at page and board, and nothing else; 0: they come to register

    @property
    def open_s(self) -> float:
        """How long the wave is open."""
        return self.hours * 3600

    def people(self, until_s: float | None = None) -> float:
        """Return how many people come until so long after the opening; to the end unless said."""
        until_s = self.open_s if until_s is None else until_s
        if until_s < 0:
            return self.early * self._grown(until_s)
        fading = sum(w.per_s * w.fading_s * -math.expm1(-until_s / w.fading_s) for w in self.waves)
        surged_s = max(0.0, until_s - (self.open_s - self.surge_s))
        return self.early + fading + self.steady_per_s * until_s + self.surge_per_s * surged_s

    def _grown(self, at_s: float) -> float:
        """Return the share of the early who have come ``at_s`` (negative) before the opening."""
        least = 2 ** (-self.early_s / self.doubling_s)
        return max(0.0, (2 ** (at_s / self.doubling_s) - least) / (1 - least))


@dataclass(frozen=True, slots=True)
class Habit:
    """What sets some people apart from the patient ones."""

    share: float  # of people
    tickets: int = 1  # devices or sessions that each join
    reloads_s: tuple[float, float] | None = None  # between two loads of the whole page, evenly
    rests: float = 0.0  # share of reloads after which it rests for once, as long as ``RESTS_S``
    hammer_s: float = math.inf  # a person's time between two looks beside those asked for
    forged: float = 0.0  # share of these looks that show a ticket which nobody gave

    @property
    def reload_s(self) -> float:
        """A person's mean time between two loads of the whole page; infinite: it loads it once."""
        if self.reloads_s is None:
            return math.inf
        return sum(self.reloads_s) / 2 + self.rests * sum(RESTS_S) / 2


RESTS_S = (15.0, 30.0)
HABITS: Mapping[str, Habit] = {
    "patient": Habit(0.70),
    "checker": Habit(0.15, reloads_s=(8.0, 20.0)),  # whatever the page says
    "hammerer": Habit(0.05, reloads_s=(0.9, 2.0), rests=0.04),  # presses F5
    "multi-device": Habit(0.07, tickets=2),
    "bot": Habit(0.03, tickets=4, hammer_s=0.25, forged=0.1),  # ignores every instruction
}

PATIENCE_S = 3 * 3600.0  # mean; exponential
PATIENCE_IF_TOLD = 1.5  # times as patient whoever is told how long it takes
PATIENCE_IF_UNLIKELY = 0.3  # and whoever is told that the places will hardly suffice
LEAVES_SILENTLY = 0.7  # of those who give up; the others press the button
LOOKS_AGAIN, LOOKS_AGAIN_S = 0.4, (20.0, 40.0)  # of those who are told "full"; twice, so much later
REFRESHES_S = (  # the page before tickets are given: how far the opening is, how often it is loaded anew
    (1800.0, 1200.0),
    (600.0, 600.0),
    (240.0, 240.0),
    (0.0, 60.0),
)
LOST, LOST_S = 0.03, (2.0, 10.0)  # of all answers, and after how long the request is repeated
AWAY, AWAY_S = 0.06, (30.0, 300.0)  # of people whose phones lose the network once, and for how long
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
_LAUNCH: Mapping[str, Any] = {"early": 330_000.0, "early_s": 3600.0, "doubling_s": 720.0}
_RUSH = (Fading(1_410.0, 210.0), Fading(100.0, 3600.0))


def _fading(people: float, fading_s: float, until_s: float) -> Fading:
    """Return a wave that brings so many people until it is cut off."""
    return Fading(people / (fading_s * -math.expm1(-until_s / fading_s)), fading_s)


def _launch_day(
    note: str,
    people: int,
    scale: float,
    *,
    tail_s: float,
    rush_s: float | None = None,
    requests_min: int = 0,
    **policy: float,
) -> Profile:
    """Return a launch day of so many people, from calm to closing in ``scale`` times fourteen minutes.

    Small enough to be sent as real requests by one machine. What fingers do (reload, hammer) is not faster
    than in life; ``rush_s`` spreads the rush after the opening, where it would be too steep.
    """
    open_s, rush_s = 660.0 * scale, rush_s or 20.0 * scale
    return Profile(
        note=note,
        hours=open_s / 3600,
        early=0.27 * people,
        early_s=180.0 * scale,
        doubling_s=36.0 * scale,
        waves=(
            _fading(0.40 * people, rush_s, open_s),
            _fading(0.20 * people, 150.0 * scale, open_s),
        ),
        steady_per_s=0.10 * people / open_s,
        surge_per_s=0.03 * people / (60.0 * scale),
        surge_s=60.0 * scale,
        policy=policy,
        compression=15.0 / scale,
        prequeue_s=36.0 * scale,
        tail_s=tail_s,
        requests_min=requests_min,
    )


_SIMULATED: Mapping[str, Profile] = {  # at full scale
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
_SCALED: Mapping[str, Profile] = {  # so that one machine can send it as real requests
    "tiny": _launch_day(
        "proves the whole road in half a minute", 40, 1 / 60, tail_s=30.0,
        rate_per_s=20.0, burst=2, quota=30, form_cap=100, pass_ttl_s=120,
        check_in_s=2, poll_budget_per_s=200,
    ),
    "smoke": _launch_day(
        "one minute: `make loadtest`", 2_000, 1 / 15, rush_s=4.0, tail_s=20.0,
        rate_per_s=60.0, burst=6, quota=1_500, form_cap=1_500, pass_ttl_s=30,
        check_in_s=2, poll_budget_per_s=600,
    ),
    "launch-300": _launch_day(
        "five minutes: before a change is taken in", 5_000, 1 / 3, tail_s=30.0,
        rate_per_s=6.0, burst=6, quota=1_000, form_cap=1_000, pass_ttl_s=30,
        check_in_s=3, poll_budget_per_s=600,
    ),
    "launch-900": _launch_day(
        "a quarter of an hour: a strong machine", 15_000, 1.0, tail_s=60.0, requests_min=1_300_000,
        rate_per_s=6.0, burst=6, quota=3_000, form_cap=2_000, pass_ttl_s=40,
        check_in_s=5, poll_budget_per_s=300,
    ),
    "launch-1200": _launch_day(
        "twenty minutes, 1.3 million requests: `make rehearsal`", 12_500, 4 / 3, tail_s=80.0,
        requests_min=1_300_000,
        rate_per_s=4.0, burst=4, quota=2_600, form_cap=2_000, pass_ttl_s=50,
        check_in_s=5, poll_budget_per_s=300,
    ),
}  # fmt: skip
_FLAT = Profile(
    note="1,300,000 looks at page and board by people who never join: the front doors alone",
    hours=0.25,
    early=2_000.0,
    early_s=20.0,
    doubling_s=1e6,  # evenly
    waves=(),
    steady_per_s=0.0,
    policy=_SCALED["launch-1200"].policy,
    tail_s=20.0,
    requests_min=1_300_000,
    looks=325,
)
PROFILES: Mapping[str, Profile] = {**_SIMULATED, **_SCALED}
SENT: Mapping[str, Profile] = {**_SCALED, "flat-hits": _FLAT}
