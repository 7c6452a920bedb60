"""How did the run look? Curves over the seconds from the opening, as SVG."""

import io
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from loadtests.journal import SHED, THROTTLED
from loadtests.rehearsal.sampling import commands_per_s
from loadtests.report import MIB, Seen

mpl.use("Agg")  # no display is needed to write a file
WIDTH, HEIGHT = 9.0, 3.0  # inches
SMOOTH_S = 5
ENTRIES = "gateway_intake_entries"
LIMIT: dict[str, Any] = {"color": "tab:red", "linestyle": "--", "linewidth": 1}
Draw = Callable[[Seen, Axes], None]


def plots(seen: Seen) -> Sequence[tuple[str, str]]:
    """Return title and SVG of each plot."""
    return [(title, _svg(seen, draw)) for title, draw in PLOTS.items()]


def _svg(seen: Seen, draw: Draw) -> str:
    figure = Figure(figsize=(WIDTH, HEIGHT), layout="constrained")
    axes = figure.subplots()
    draw(seen, axes)
    axes.grid(alpha=0.3)
    handles, _ = axes.get_legend_handles_labels()
    if handles:
        axes.legend(fontsize="small")
    text = io.StringIO()
    figure.savefig(text, format="svg")
    return text.getvalue().partition("<svg")[1] + text.getvalue().partition("<svg")[2]


def _over_time(axes: Axes, seen: Seen, unit: str) -> None:
    axes.set_xlabel("seconds from the opening")
    axes.set_ylabel(unit)
    axes.axvline(0.0, color="gray", linewidth=1)
    axes.axvline(seen.scenario.profile.open_s, color="gray", linewidth=1)
    for at_s, _ in seen.log:
        axes.axvline(at_s, color="tab:orange", linewidth=1, linestyle=":")


def _per_s(instants_s: Iterable[float]) -> tuple[list[int], list[float]]:
    """Return seconds, and the mean per second of the last few."""
    counts = Counter(int(at_s // 1) for at_s in instants_s)
    return _smooth(counts)


def _smooth(counts: Counter[int]) -> tuple[list[int], list[float]]:
    if not counts:
        return [], []
    seconds = list(range(min(counts), max(counts) + 1))
    return seconds, [sum(counts[at - n] for n in range(SMOOTH_S)) / SMOOTH_S for at in seconds]


def _arrivals(seen: Seen, axes: Axes) -> None:
    for word, label in (
        ("requests", "requests"), ("arrivals", "arrivals"), (SHED, "shed"), (THROTTLED, "throttled"),
    ):  # fmt: skip
        counts = Counter({at: each[word] for at, each in seen.totals.seconds.items()})
        if counts.total():
            axes.plot(*_smooth(counts), label=label)
    axes.set_yscale("symlog")
    _over_time(axes, seen, "per s")


def _waiting(seen: Seen, axes: Axes) -> None:
    boards = [(each.at_s, each.board) for each in seen.samples if each.board]
    at_s = [at for at, _ in boards]
    axes.plot(at_s, [board["issued"] for _, board in boards], label="joined")
    axes.plot(at_s, [board["issued"] - board["called"] for _, board in boards], label="not called")
    axes.plot(
        at_s, [board["quota"] - board["places_left"] for _, board in boards], label="registered"
    )
    _over_time(axes, seen, "people")


def _admitted(seen: Seen, axes: Axes) -> None:
    opens_s, terms = seen.opens_s, seen.evidence.terms
    instants_s = (each.issued_at_us / 1e6 - opens_s for each in seen.evidence.passes)
    axes.plot(*_per_s(instants_s), label=f"admitted, over {SMOOTH_S} s")
    axes.axhline(terms.rate_per_s, label="rate", **LIMIT)
    _over_time(axes, seen, "per s")


def _latency(seen: Seen, axes: Axes) -> None:
    seconds_ms = seen.totals.seconds_ms
    for share, label in ((0.5, "p50"), (0.99, "p99")):
        axes.plot(
            list(seconds_ms), [each.quantile_ms(share) for each in seconds_ms.values()], label=label
        )
    axes.set_yscale("log")
    _over_time(axes, seen, "ms, lag included")


def _stored(seen: Seen, axes: Axes) -> None:
    opens_s, terms = seen.opens_s, seen.evidence.terms
    instants_s = (row.recorded_at_us / 1e6 - opens_s for row in seen.evidence.rows)
    axes.plot(*_per_s(instants_s), label=f"rows, over {SMOOTH_S} s")
    axes.axhline(terms.store_per_s, label="limit", **LIMIT)
    held = [(each.at_s, each.metrics[ENTRIES]) for each in seen.samples if ENTRIES in each.metrics]
    at_s, counts = [at for at, _ in held], [count for _, count in held]
    axes.plot(at_s, counts, label="accepted, not yet stored")
    _over_time(axes, seen, f"rows per s, in {seen.store}")


def _cores(seen: Seen, axes: Axes) -> None:
    for name in dict.fromkeys(name for sample in seen.samples for name in sample.uses):
        uses = [(each.at_s, each.uses[name].cpu_s) for each in seen.samples if name in each.uses]
        steps = list(zip(uses, uses[SMOOTH_S:], strict=False))
        cores = [max(0.0, b - a) / (then - at) for (at, a), (then, b) in steps]
        axes.plot([then for _, (then, _) in steps], cores, label=name, linewidth=1)
    _over_time(axes, seen, "cores")


def _memory(seen: Seen, axes: Axes) -> None:
    for name in dict.fromkeys(name for sample in seen.samples for name in sample.uses):
        uses = [(each.at_s, each.uses[name]) for each in seen.samples if name in each.uses]
        axes.plot(
            [at for at, _ in uses],
            [use.memory_bytes / MIB for _, use in uses],
            label=name,
            linewidth=1,
        )
    _over_time(axes, seen, "MiB")


def _redis(seen: Seen, axes: Axes) -> None:
    per_s = commands_per_s(seen.samples)
    axes.plot([at for at, _ in per_s], [each for _, each in per_s], linewidth=1)
    _over_time(axes, seen, "commands per s")


def _waits(seen: Seen, axes: Axes) -> None:
    """Each who was called: how long it had been told to wait, over how long it did."""
    told = [each for each in seen.evidence.passes if each.told_us and each.told_at_us]
    had_s = [(each.called_at_us - each.told_at_us) / 1e6 for each in told]
    low_s, high_s = (
        [((each.told_us or (0, 0))[end] - each.told_at_us) / 1e6 for each in told] for end in (0, 1)
    )
    axes.vlines(had_s, low_s, high_s, alpha=0.15)
    most_s = max(had_s, default=1.0)
    axes.plot([0, most_s], [0, most_s], **LIMIT)
    axes.set_xlabel("seconds waited since the first range was told")
    axes.set_ylabel("the range, s")


PLOTS: dict[str, Draw] = {
    "Arrivals and requests": _arrivals,
    "Waiting": _waiting,
    "Admitted, and the rate": _admitted,
    "Waits told and waits had": _waits,
    "Answer times": _latency,
    "Store": _stored,
    "Processors": _cores,
    "Memory": _memory,
    "Redis": _redis,
}
