"""Does the autopilot use the store, and keep within it? The worst of some runs in virtual time."""

from collections.abc import Sequence
from functools import cache, partial

from loadtests.bench.rows import Row, Wanted
from loadtests.pilot import bench

FIGURES = {
    "used": ("of the store used", Wanted(low=0.85)),
    "overshoot": ("worst minute above the store", Wanted(high=0.10)),
    "refused_per_completed": ("refused per completed", Wanted(high=0.8)),
    "backlog_of_cap": ("longest backlog / its cap", Wanted(high=1.0)),
}


def rows(quick: bool) -> Sequence[Row]:
    """Return the rows: a store that falls by 70 % for five minutes."""

    @cache
    def worst() -> dict[str, float]:
        return bench(1 if quick else 5)

    def figure(name: str) -> Sequence[float]:
        return [worst()[name]]

    return [Row(said, wanted, partial(figure, name)) for name, (said, wanted) in FIGURES.items()]
