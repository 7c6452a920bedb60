"""What is there to tell of a simulated day? One document, versioned, from what was counted.

Instants are seconds from the opening. Windows of admissions are counted side by side with the ticks,
so that ``worst_1_s`` is the fullest of all windows of one second, wherever it begins.
"""

from typing import Any

import numpy as np

from gateway.core.policy import to_document
from gateway.core.snapshot import Phase
from gateway.simulation.crowd import Integers
from gateway.simulation.day import Day
from gateway.simulation.engine import Scenario
from gateway.simulation.tally import TICK_US, TICKS_PER_S, Asked
from gateway.simulation.visitors import State

SCHEMA = "gateway-simulation/1"
PERCENTILES = {"p10": 10, "p50": 50, "p90": 90, "p99": 99, "max": 100}
SETTLED_S = 15  # after the opening, from when on the rate is expected to hold
SMOOTH_S = 10  # polls are compared with the budget over so long


def document(day: Day, scenario: Scenario, profile_name: str, decided_by: str) -> dict[str, Any]:
    """Return everything that is told of a day that has been led to its end."""
    return {
        "schema": SCHEMA,
        "profile": profile_name,
        "decided_by": decided_by,
        "seed": scenario.seed,
        "people": scenario.people,
        "visitors": len(day.crowd),
        "hours": scenario.hours,
        "no_shows": scenario.no_shows,
        "policy": to_document(scenario.policy),
        "waits_s": _waits(day),
        "wave": _wave(day),
        "admitted": _admitted(day),
        "requests": _requests(day),
        "polls": _polls(day),
        "people_who": _people(day),
        "promises": _promises(day),
    }


def _from_opening_s(day: Day, index: int, per_s: int = 1) -> float:
    return round(index / per_s - (day.opens_us - day.start_us) / 1_000_000, 1)


def _waits(day: Day) -> dict[str, float | None]:
    """Return the wait of those admitted, from joining, or from the opening if they came before."""
    people = day.visitors
    admitted = people.admitted >= 0
    waits = (people.admitted[admitted] - people.since[admitted]) / TICKS_PER_S
    if not len(waits):
        return dict.fromkeys(PERCENTILES)
    return {name: round(float(np.percentile(waits, p)), 1) for name, p in PERCENTILES.items()}


def _wave(day: Day) -> dict[str, Any]:
    tally, last = day.tally, day.live.current()
    most = int(tally.waiting.argmax())
    full = tally.full_tick
    return {
        "phase": last.phase.value,
        "full_at_s": None if full is None else _from_opening_s(day, full, TICKS_PER_S),
        "most_waiting": int(tally.waiting[most]),
        "most_waiting_at_s": _from_opening_s(day, most),
        "cohort": last.cohort,
        "tickets": last.issued,
        "still_waiting": day.visitors.waiting_count,
    }


def settled_windows(day: Day, window_s: int) -> Integers:
    """Return what each window side by side admitted while there were enough to admit.

    Enough means: more people waited at its end than half a minute of the rate, places were left for all
    of the window, and the form was not full.
    """
    tally, policy = day.tally, day.live.policy
    opened = (day.opens_us - day.start_us) // TICK_US
    ends = np.arange(
        opened + (SETTLED_S + window_s) * TICKS_PER_S, day.tick + 1, window_s * TICKS_PER_S
    )
    starts = ends - window_s * TICKS_PER_S
    enough = tally.waiting[ends // TICKS_PER_S - 1] > 30 * policy.rate_per_s
    taken = tally.accepted[ends] + tally.outstanding[ends]
    enough &= taken + policy.rate_per_s <= policy.quota
    enough &= (
        np.maximum(tally.outstanding[starts], tally.outstanding[ends])
        < policy.form_cap - policy.burst
    )
    return np.asarray((tally.admitted[ends] - tally.admitted[starts])[enough])


def _admitted(day: Day) -> dict[str, Any]:
    policy, admitted = day.live.policy, day.tally.admitted[: day.tick + 1]
    settled = settled_windows(day, 10)
    ten_s = 10 * policy.rate_per_s
    return {
        "passes": int(admitted[-1]),
        "worst_1_s": _fullest(admitted, TICKS_PER_S),
        "allowed_1_s": policy.rate_per_s + policy.burst,
        "worst_10_s": _fullest(admitted, 10 * TICKS_PER_S),
        "allowed_10_s": ten_s + policy.burst,
        "burst_needed": _burst_needed(admitted, policy.rate_per_s),
        "settled_10_s": {
            "windows": len(settled),
            "least_of_rate": round(float(settled.min()) / ten_s, 4) if len(settled) else None,
            "most_of_rate": round(float(settled.max()) / ten_s, 4) if len(settled) else None,
        },
    }


def _fullest(cumulated: Integers, ticks: int) -> int:
    ticks = min(ticks, len(cumulated) - 1)
    return int((cumulated[ticks:] - cumulated[: len(cumulated) - ticks]).max())


def _burst_needed(cumulated: Integers, rate_per_s: float) -> float:
    """Return the least burst of a bucket that allows these admissions: count - rate x time, at most."""
    drawn = np.diff(cumulated, prepend=0)
    above = cumulated - np.arange(len(cumulated)) * rate_per_s / TICKS_PER_S
    lowest = np.minimum.accumulate(above - drawn)  # just before each tick's own
    return round(float((above - lowest).max()), 6)


def _requests(day: Day) -> dict[str, Any]:
    requests, tally = day.tally.requests, day.tally
    classes = {what.name.lower(): _peak(day, requests[:, what]) for what in Asked}
    return {
        "all": _peak(day, requests.sum(axis=1)),
        **classes,
        "of_these": {
            "patient": _peak(day, requests.sum(axis=1) - tally.unasked),
            "polls": _peak(day, tally.polls),
            "unasked": _peak(day, tally.unasked),
            "from_forms": _peak(day, tally.form_polls),
        },
    }


def _peak(day: Day, series: Any) -> dict[str, float]:
    at = int(series.argmax())
    return {
        "total": round(float(series.sum())),
        "peak_per_s": round(float(series[at])),
        "peak_at_s": _from_opening_s(day, at),
    }


def _polls(day: Day) -> dict[str, Any]:
    """Compare the polls that were asked for with the formula and with the budget."""
    tally = day.tally
    smooth = np.convolve(tally.polls, np.ones(SMOOTH_S) / SMOOTH_S, "valid")
    at = int(smooth.argmax())
    expected = int(tally.expected.argmax())
    opened = tally.expected > 0
    budget_per_s = day.live.policy.poll_budget_per_s
    return {
        "budget_per_s": budget_per_s,
        "peak_10_s_per_s": round(float(smooth[at])),
        "peak_10_s_at_s": _from_opening_s(day, at),
        "peak_of_budget": round(float(smooth[at]) / budget_per_s, 3),
        "expected_peak_per_s": round(float(tally.expected[expected])),
        "expected_mean_per_s": round(float(tally.expected[opened].mean()), 1)
        if opened.any()
        else 0.0,
        "measured_mean_per_s": round(float(tally.polls[opened].mean()), 1) if opened.any() else 0.0,
    }


def _people(day: Day) -> dict[str, int]:
    people, last = day.visitors, day.live.current()
    joined = people.since > 0
    return {
        "registered": last.accepted,
        "never_looked_again": int((joined & ~day.crowd.shows).sum()),
        "gave_up": int(people.gave_up.sum()),
        "passes_expired": last.admitted - last.accepted - last.outstanding,
        "told_over": int((people.state == State.TOLD).sum()) if last.phase is not Phase.OPEN else 0,
        "told_unlikely": int(people.unlikely.sum()),
    }


def _promises(day: Day) -> dict[str, Any]:
    """Was a visitor called inside the first range it was told?"""
    people = day.visitors
    called = day.tally.called[: day.tick + 1]
    told = (people.first_low >= 0) & (people.position < called[-1])
    at = np.searchsorted(called, people.position[told], "right")
    early, late = at < people.first_low[told], at > people.first_high[told]
    count = int(told.sum())
    return {
        "told_and_called": count,
        "inside": round(float((~early & ~late).mean()), 4) if count else None,
        "earlier": round(float(early.mean()), 4) if count else None,
        "later": round(float(late.mean()), 4) if count else None,
    }
