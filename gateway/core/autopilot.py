"""Which rate keeps the store busy and its backlog short? A controller of one wave, once a second.

Filling the form is a dead time of 30 to 120 s, so whoever answers to the backlog alone answers too late and
too long: additive increase with multiplicative decrease oscillated at 63 % of capacity. This one steers the
*stock* under way (Little's law, L = λ·W): registrations that the passes of the last form time will bring,
and those that wait in the intake, should be what the store takes in one form time. Passes that nobody uses
stay out for longer and bring nothing, so older ones do not count. There is no integral term to wind up.

========  ==================================================================================================
regime    when, and what the rate does
========  ==================================================================================================
steady    it is where it should be: 0.95 of the capacity, divided by the share of passes that register
falling   it should be lower: at once, and below capacity by what is too much under way
rising    it should be higher: by 2 % a second of where it should be
held      nobody is admitted (paused, recovering, not open): half of it waits, and rises from there
stale     delivery does not work, so nothing is known: it halves every 10 s, down to the floor
========  ==================================================================================================

With nothing to measure and nothing waiting, the ceiling is where it should be: a quiet store is no slow one.
"""

from dataclasses import dataclass
from enum import StrEnum

TARGET = 0.95  # of the capacity
UP_PER_S = 0.02  # of where the rate should be
STALE_HALF_LIFE_S = 10.0
SLACK = 0.1  # of the stock: noise, not too much
BACKLOG_S = 2.0  # of capacity: what is on its way through the intake anyhow
NEAR = 0.03  # of the rate: as good as there
STEP_S_MAX = 2.0  # a longer silence counts as so much


class Regime(StrEnum):
    """What the autopilot does."""

    STEADY = "steady"
    FALLING = "falling"
    RISING = "rising"
    HELD = "held"
    STALE = "stale"


@dataclass(frozen=True, slots=True)
class Reading:
    """One wave and its part of the store, now."""

    at_us: int
    capacity_per_s: float | None  # rows the store takes of this wave; None: nothing to measure
    is_working: bool  # False: the breaker is open, or what waits is not taken
    is_admitting: bool  # False: paused, recovering, not open
    backlog: int  # accepted and not settled
    form_s: float  # mean time from pass to registration, above 0
    on_form: int  # outstanding passes that were issued within it
    share: float  # of passes that end in a registration, above 0
    ceiling_per_s: float  # the operator's rate
    floor_per_s: float


@dataclass(frozen=True, slots=True)
class Steer:
    """The rate to hold, and why."""

    rate_per_s: float
    regime: Regime
    reason: str
    at_us: int


def begin(reading: Reading) -> Steer:
    """Return the first rate, of a new holder: as after a recovery."""
    rate_per_s = max(reading.floor_per_s, reading.ceiling_per_s / 2)
    return Steer(rate_per_s, Regime.HELD, "the autopilot has just begun", reading.at_us)


def next_steer(last: Steer, reading: Reading) -> Steer:
    """Return the next rate. A wrong reading costs one step: nothing is summed up."""
    step_s = min(STEP_S_MAX, max(0, reading.at_us - last.at_us) / 1_000_000)
    if not reading.is_admitting:
        return _held(last, reading)
    if not reading.is_working:
        rate_per_s = last.rate_per_s * 0.5 ** (step_s / STALE_HALF_LIFE_S)
        return _steer(reading, rate_per_s, Regime.STALE, "delivery tells nothing of the store")
    wanted_per_s, reason = _wanted(reading)
    wanted_per_s = _clipped(reading, wanted_per_s)
    if abs(wanted_per_s - last.rate_per_s) <= NEAR * wanted_per_s:
        return _steer(reading, wanted_per_s, Regime.STEADY, reason)
    if wanted_per_s < last.rate_per_s:
        return _steer(reading, wanted_per_s, Regime.FALLING, reason)
    rate_per_s = last.rate_per_s + UP_PER_S * step_s * wanted_per_s
    return _steer(reading, min(wanted_per_s, rate_per_s), Regime.RISING, reason)


def _held(last: Steer, reading: Reading) -> Steer:
    is_new = last.regime is not Regime.HELD
    rate_per_s = last.rate_per_s / 2 if is_new else last.rate_per_s
    return _steer(reading, rate_per_s, Regime.HELD, "nobody is admitted: half of the rate waits")


def _wanted(reading: Reading) -> tuple[float, str]:
    """Return where the rate should be, and why."""
    if reading.capacity_per_s is None:
        return reading.ceiling_per_s, "nothing to measure, nothing waiting"
    flow_per_s = TARGET * reading.capacity_per_s
    goal = flow_per_s * reading.form_s  # registrations that should be under way
    excess = under_way(reading) - (1 + SLACK) * goal - BACKLOG_S * reading.capacity_per_s
    told = f"the store takes {reading.capacity_per_s:.3g} rows/s"
    if excess > 0:
        flow_per_s -= excess / reading.form_s
        told = f"{told}, and {excess:.0f} registrations too many are under way"
    return flow_per_s / reading.share, told


def under_way(reading: Reading) -> float:
    """Return how many registrations are to come of passes and intake."""
    return reading.backlog + reading.on_form * reading.share


def _clipped(reading: Reading, rate_per_s: float) -> float:
    return min(reading.ceiling_per_s, max(reading.floor_per_s, rate_per_s))


def _steer(reading: Reading, rate_per_s: float, regime: Regime, reason: str) -> Steer:
    return Steer(_clipped(reading, rate_per_s), regime, reason, reading.at_us)
