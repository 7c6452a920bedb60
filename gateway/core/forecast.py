"""What would a policy bring? Waits, the end of the places, polls and store load, from one snapshot.

The fluid limit of the room's own rules: admissions flow at the rate, or at what the form cap lets through
(Little's law, L = λ·W); ``called`` moves by as many positions an admission as it was seen to; polls follow
``pacing``. A simulated crowd led through the rules themselves takes minutes for a full room, an operator
waits a second: ``tests/simulation/test_forecast.py`` holds the two together.
"""

import math
from dataclasses import dataclass

from gateway.core import pacing
from gateway.core.calling import NEAR_STOCKS
from gateway.core.policy import RATE_MILLI, Policy
from gateway.core.snapshot import Phase, Snapshot

CHECK_IN_MARGIN = 0.8  # asked a little early, so that a slow network stays in the interval
SAMPLE = 50  # admissions or registrations before their averages mean anything
FORM_S = 180.0  # to fill the form, until it has been measured
STEPS_MAX = 32.0  # positions an admission: at 97 % no-shows
ENDED = frozenset({Phase.FULL, Phase.CLOSED})

Range = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Habits:
    """What people have been seen to do so far, which a change of policy does not alter."""

    completion: float  # share of passes that became registrations
    form_s: float  # mean time from pass to registration
    steps: float  # positions that `called` moves by for one admission
    is_measured: bool  # False: too few have come for anything but assumptions


@dataclass(frozen=True, slots=True)
class Forecast:
    """How a wave would go on under one policy."""

    rate_per_s: float  # of admissions, as it would be
    held_by: str  # what holds it below the policy's: paused, form_cap, autopilot; "" for nothing
    first_s: Range | None  # wait of the next in line; None: unknown, or nobody is admitted
    median_s: Range | None
    last_s: Range | None
    full_in_s: float | None  # until a pass or a registration has every place; None: they suffice
    polls_per_s: float
    store_per_s: float  # registrations
    on_form: int  # people, once it has settled
    form_cap_needed: int  # below which the cap would hold the rate


def habits(snapshot: Snapshot, advance_per_s: float | None) -> Habits:
    """Return what is known of people; ``advance_per_s`` is how fast ``called`` was seen to move."""
    settled = snapshot.admitted - snapshot.outstanding
    knows_share, knows_form = settled >= SAMPLE, snapshot.accepted >= SAMPLE
    rate_per_s = snapshot.rate_milli_per_s / RATE_MILLI
    if advance_per_s and rate_per_s and snapshot.phase is Phase.OPEN:
        steps = advance_per_s / rate_per_s
    else:
        steps = (snapshot.called - snapshot.stock) / max(1, snapshot.admitted)
    return Habits(
        completion=min(1.0, snapshot.accepted / settled) if knows_share else 1.0,
        form_s=snapshot.form_us / snapshot.accepted / 1e6 if knows_form else FORM_S,
        steps=min(STEPS_MAX, max(1.0, steps)),
        is_measured=knows_share and knows_form,
    )


def forecast(snapshot: Snapshot, policy: Policy, known: Habits, *, held_milli: int = 0) -> Forecast:
    """Say how the wave would go on; ``held_milli`` is the rate that the autopilot holds, 0 for none."""
    form_s = min(known.form_s, policy.pass_ttl_s)
    dwell_s = known.completion * form_s + (1 - known.completion) * policy.pass_ttl_s
    rate_per_s, held_by = _rate(policy, dwell_s, held_milli)
    if snapshot.phase in ENDED:
        rate_per_s = 0.0
    waiting = max(0, snapshot.issued - snapshot.called) + snapshot.stock
    moves_per_s = rate_per_s * known.steps

    opens_in_s = (
        0 if snapshot.opened else max(0, snapshot.opens_at_us - snapshot.now_us) // 1_000_000
    )

    def wait_s(ahead: int) -> Range | None:
        told = pacing.eta_s(ahead, moves_per_s, None) if rate_per_s else None
        return told and (opens_in_s + told[0], opens_in_s + told[1])

    uncalled = max(0, snapshot.issued - snapshot.called)
    full_in_s = _full_in_s(snapshot, policy, known, rate_per_s, waiting / known.steps)
    return Forecast(
        rate_per_s=rate_per_s,
        held_by=held_by,
        first_s=wait_s(0),
        median_s=wait_s(uncalled // 2),
        last_s=wait_s(uncalled),
        full_in_s=None if full_in_s is None else opens_in_s + full_in_s,
        polls_per_s=polls_per_s(snapshot, policy, rate_per_s, moves_per_s) if rate_per_s else 0.0,
        store_per_s=rate_per_s * known.completion,
        on_form=round(min(policy.form_cap, rate_per_s * dwell_s)),
        form_cap_needed=math.ceil(policy.rate_per_s * dwell_s),
    )


def _rate(policy: Policy, dwell_s: float, held_milli: int) -> tuple[float, str]:
    if policy.paused:
        return 0.0, "paused"
    rates = [(policy.rate_per_s, ""), (policy.form_cap / dwell_s, "form_cap")]
    if policy.is_steered and held_milli:
        rates.append((held_milli / RATE_MILLI, "autopilot"))
    return min(rates, key=lambda pair: pair[0])


def _full_in_s(
    snapshot: Snapshot, policy: Policy, known: Habits, rate_per_s: float, people: float
) -> float | None:
    """Return when every place is taken. Passes that lapse give theirs back, one life later."""
    places = policy.quota - snapshot.accepted - snapshot.outstanding
    if places <= 0:
        return 0.0
    if not rate_per_s:
        return None
    early = rate_per_s * policy.pass_ttl_s  # admitted before the first of them lapses
    later_per_s = rate_per_s * known.completion
    if places > early and not later_per_s:
        return None
    took_s = min(places, early) / rate_per_s + max(0.0, places - early) / (later_per_s or 1.0)
    return took_s if took_s * rate_per_s <= people else None


def polls_per_s(snapshot: Snapshot, policy: Policy, rate_per_s: float, moves_per_s: float) -> float:
    """Return the polls that all who wait are asked for: check-ins of the near, and of the far as fits."""
    uncalled = max(0, snapshot.issued - snapshot.called)
    near_s = min(NEAR_STOCKS * policy.check_in_s, uncalled / moves_per_s)
    near_per_s = rate_per_s * near_s / (policy.check_in_s * CHECK_IN_MARGIN)
    far_s = max(0.0, uncalled / moves_per_s - near_s)
    budget_per_s = policy.poll_budget_per_s
    left_per_s = max(budget_per_s - near_per_s, budget_per_s / 10)
    stretched = pacing.stretch(moves_per_s, far_s, left_per_s)
    return near_per_s + pacing.load_per_s(stretched, moves_per_s, far_s)
