"""How long until each of many visitors asks again, and what is it told? ``core/pacing`` over arrays.

The same formulas, operation by operation: tests hold both together value by value.
"""

import numpy as np

from gateway.core import pacing
from gateway.simulation.crowd import Flags, Floats

MINUTE_S = 60


def poll_s(far_s: Floats, stretched: float) -> Floats:
    """Return ``pacing.poll_s`` for each."""
    wanted_s = stretched * np.clip(pacing.PHI * far_s, pacing.POLL_S_MIN, pacing.POLL_S_MAX)
    return np.minimum(wanted_s, pacing.PHI_MAX * far_s + pacing.POLL_S_MIN)


def opening_poll_s(to_opening_s: float, waiting: int, budget_per_s: float, share: Floats) -> Floats:
    """Return ``pacing.opening_poll_s`` for each."""
    crowd_s = waiting / budget_per_s
    base_s = 300.0 if to_opening_s > 900 else 60.0 if to_opening_s > 120 else to_opening_s
    interval_s = max(base_s, crowd_s) * (0.85 + 0.3 * share)
    spread_s = pacing.opening_spread_s(crowd_s)
    last_s = np.maximum(1.0, to_opening_s + 0.5 + spread_s * share)
    if to_opening_s > 120:
        return np.where(interval_s < to_opening_s, interval_s, last_s)
    return last_s


def eta_s(ahead: Floats, short_per_s: float | None, long_per_s: float | None) -> Floats | None:
    """Return ``pacing.eta_s`` for each, lows in the first row and highs in the second."""
    rates = [rate for rate in (short_per_s, long_per_s) if rate]
    if not rates:
        return None
    low = ahead / max(rates) * pacing.ETA_LOW
    high = ahead / min(rates) * pacing.ETA_HIGH
    grain = np.where(high < 120, 10, np.where(high < 3_600, 60, 300))
    return np.stack([np.floor(low / grain) * grain, np.maximum(1, np.ceil(high / grain)) * grain])


def board_eta_s(ahead: Floats, advance_per_s: float | None) -> Floats | None:
    """Return the range that the page works out from a board: whole minutes around the short window's."""
    if not advance_per_s:
        return None
    low, high = ahead / advance_per_s * pacing.ETA_LOW, ahead / advance_per_s * pacing.ETA_HIGH
    return np.stack([np.floor(low / MINUTE_S), np.ceil(high / MINUTE_S)]) * MINUTE_S


def unlikely(ahead: Floats, places_left: int, completion: float) -> Flags:
    """Return whether ``pacing.outlook`` is anything but likely, for each."""
    return ahead * completion >= places_left if places_left > 0 else np.ones(len(ahead), np.bool_)
