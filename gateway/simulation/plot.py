"""How does a simulated day look? Four curves over one clock: arrivals, waiting, admitted, polls."""

from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from gateway.simulation.crowd import Floats, Integers
from gateway.simulation.day import Day
from gateway.simulation.tally import TICKS_PER_S

mpl.use("Agg")  # no display is needed to write a file
SMOOTH_S = 10
DPI = 110


def plot(day: Day, title: str, file: Path) -> None:
    """Write the curves to a PNG, to where the last visitor is gone."""
    tally, policy = day.tally, day.live.policy
    seconds = _interesting_s(day)
    hours = (np.arange(seconds) - (day.opens_us - day.start_us) / 1_000_000) / 3600
    admitted = np.diff(tally.admitted[::TICKS_PER_S], prepend=0)
    figure = Figure(figsize=(10, 11), layout="constrained")
    arrivals, waiting, passes, polls = figure.subplots(4, 1, sharex=True)
    figure.suptitle(title)
    arrivals.plot(hours, _smooth(tally.arrived)[:seconds])
    arrivals.set_ylabel("visitors arriving per s")
    waiting.plot(hours, tally.waiting[:seconds])
    waiting.set_ylabel("waiting")
    passes.plot(hours, _smooth(admitted)[:seconds], label=f"admitted, over {SMOOTH_S} s")
    passes.axhline(policy.rate_per_s, color="tab:red", linestyle="--", label="rate")
    passes.set_ylabel("admitted per s")
    polls.plot(hours, _smooth(tally.polls)[:seconds], label=f"asked, over {SMOOTH_S} s")
    polls.plot(hours, tally.expected[:seconds], label="by the formula")
    polls.axhline(policy.poll_budget_per_s, color="tab:red", linestyle="--", label="budget")
    polls.set_ylabel("polls per s")
    polls.set_xlabel("hours from the opening")
    for axes in (arrivals, waiting, passes, polls):
        axes.grid(alpha=0.3)
        axes.set_ylim(bottom=0)
    passes.legend()
    polls.legend()
    figure.savefig(file, format="png", dpi=DPI)


def _smooth(series: Floats | Integers) -> Floats | Integers:
    """Return means over the last seconds; a day shorter than that is shown as it is."""
    if len(series) < SMOOTH_S:
        return series
    return np.convolve(series, np.ones(SMOOTH_S) / SMOOTH_S, "full")[: len(series)]


def _interesting_s(day: Day) -> int:
    """Return the seconds until all is quiet, and a tenth more; of the last one only a tick has passed."""
    whole = day.tick // TICKS_PER_S
    busy = np.flatnonzero((day.tally.waiting > 0) | (day.tally.polls > SMOOTH_S))
    last = int(busy[-1]) + 1 if len(busy) else whole
    return min(whole, last + last // 10)
