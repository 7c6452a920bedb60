"""Is the admission rate exact, and the order kept, whoever fails to show up? On the room's own scripts."""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Sequence
from dataclasses import replace
from functools import cache

from loadtests.bench.crowd import Scenario, Story, live
from loadtests.bench.rows import Row, Wanted
from loadtests.bench.scripts import Patch, unpatched
from loadtests.bench.server import quick_server
from loadtests.windows import burst_needed

SHARES = (0.0, 0.2, 0.4, 0.7, 0.9)
SETTLED_US = 15_000_000  # after the opening, the rate is exact
WINDOW_US = 10_000_000
STRIDE_US = 100_000
FULL = Scenario(0.0, rate_per_s=300.0, burst=30, check_in_s=5, seconds=180.0, people_min=100_000)
QUICK = Scenario(0.0, rate_per_s=50.0, burst=5, check_in_s=2, seconds=45.0, people_min=4_000)


def rows(quick: bool) -> Sequence[Row]:
    """Return the rows, four for each share of no-shows."""
    shares = (0.0, 0.7) if quick else SHARES
    return [row for share in shares for row in rows_at(share, QUICK if quick else FULL)]


def rows_at(share: float, base: Scenario, patch: Patch = unpatched) -> Sequence[Row]:
    """Return the rows of one run."""
    scenario = replace(base, no_show_share=share)

    @cache
    def story() -> Story:
        with quick_server() as client:
            return live(client, scenario, patch)

    behind_max = scenario.rate_per_s * scenario.check_in_s + scenario.burst
    at = f"{share:.0%} no-shows"
    return [
        Row(f"{at}, every 10 s / rate", Wanted(0.98, 1.02), lambda: window_ratios(story())),
        Row(f"{at}, burst needed", Wanted(high=scenario.burst), lambda: bursts(story())),
        Row(f"{at}, overtaken by", Wanted(high=behind_max), lambda: overtakes(story())),
        Row(
            f"{at}, late, overtaken by", Wanted(high=behind_max), lambda: overtakes_of_late(story())
        ),
    ]


def window_ratios(story: Story) -> Sequence[float]:
    """Return passes / (rate x length) of all windows of 10 s from 15 s after the opening."""
    instants_us = [instant_us for instant_us, _ in story.passes]
    last_us = round(story.scenario.seconds * 1e6) - WINDOW_US
    wanted = story.scenario.rate_per_s * WINDOW_US / 1e6
    return [
        (bisect_left(instants_us, at_us + WINDOW_US) - bisect_left(instants_us, at_us)) / wanted
        for at_us in range(SETTLED_US, last_us + 1, STRIDE_US)
    ]


def bursts(story: Story) -> Sequence[float]:
    """Return the least burst that allows all passes: over every window at once."""
    return [burst_needed([instant_us for instant_us, _ in story.passes], story.scenario.rate_per_s)]


def overtakes(story: Story) -> Sequence[int]:
    """Return how many passes went to positions behind, for each who was there when called (I-22).

    Nobody behind a visitor is called before it, so all of them count. Who still waits at the end counts
    as served then.
    """
    behind: list[int] = []
    earlier: list[int] = []  # positions of the passes so far, sorted
    for _, position in story.passes:
        if position not in story.arrived:
            behind.append(len(earlier) - bisect_right(earlier, position))
        insort(earlier, position)
    unserved = (position for position in story.unserved if position not in story.arrived)
    return behind + [len(earlier) - bisect_right(earlier, position) for position in unserved]


def overtakes_of_late(story: Story) -> Sequence[int]:
    """Return the same, since their return, of those who came when they had been called (I-29)."""
    served = {position: index for index, (_, position) in enumerate(story.passes)}
    late = [position for position in story.arrived if position in served]
    late += [position for position in story.unserved if position in story.arrived]
    behind = []
    for position in late:
        first = bisect_left(story.passes, (story.arrived[position], -1))
        passes = story.passes[first : served.get(position)]
        behind.append(sum(other > position for _, other in passes))
    return behind
