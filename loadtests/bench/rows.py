"""Is a figure reached? Rows, what is wanted of them, and the table that they print.

A row is a name, what is wanted, and a function that measures and returns samples. A group of rows is a
function in a module of its own; ``GROUPS`` in ``__main__`` lists them.
"""

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

HEAD = ("row", "wanted", "median", "min", "max", "")
SHOWN_DIGITS = 4


@dataclass(frozen=True, slots=True)
class Wanted:
    """The range a figure has to lie in; None where it has no bound."""

    low: float | None = None
    high: float | None = None
    by_median: bool = False  # a cost, which the machine disturbs; else every sample counts

    def __str__(self) -> str:
        low, high = (None if v is None else _shown(v) for v in (self.low, self.high))
        if low is None or high is None:
            return f"<= {high}" if low is None else f">= {low}"
        return f"{low} to {high}"

    def holds(self, samples: Sequence[float]) -> bool:
        """Whether the figure is reached. What was not measured was not reached."""
        judged = [median(samples)] if self.by_median and samples else samples
        low = float("-inf") if self.low is None else self.low
        high = float("inf") if self.high is None else self.high
        return bool(judged) and all(low <= sample <= high for sample in judged)


@dataclass(frozen=True, slots=True)
class Row:
    """One figure to reach."""

    name: str
    wanted: Wanted
    measure: Callable[[], Sequence[float]]
    limit: Callable[[], str] = (
        str  # who could not do more, where it was not the measured; told afterwards
    )


@dataclass(frozen=True, slots=True)
class Measured:
    """A row with its samples."""

    group: str
    row: Row
    samples: Sequence[float]
    limit: str = ""  # besides what is measured

    @property
    def reached(self) -> bool:
        """Whether the figure is reached."""
        return self.row.wanted.holds(self.samples)

    @property
    def spread(self) -> tuple[float, float, float] | None:
        """Return median, least and greatest; None where nothing was measured."""
        if not self.samples:
            return None
        return median(self.samples), min(self.samples), max(self.samples)

    def cells(self) -> tuple[str, ...]:
        """Return the row as it is printed."""
        values = [_shown(value) for value in self.spread] if self.spread else ["-"] * 3
        verdict = "reached" if self.reached else "MISSED"
        verdict += f"; limit: {self.limit}" if self.limit else ""
        return f"{self.group}: {self.row.name}", str(self.row.wanted), *values, verdict

    def document(self) -> dict[str, Any]:
        """Return the row as it is kept."""
        middle, least, most = self.spread or (None, None, None)
        return {
            "group": self.group,
            "name": self.row.name,
            "low": self.row.wanted.low,
            "high": self.row.wanted.high,
            "median": middle,
            "min": least,
            "max": most,
            "samples": len(self.samples),
            "reached": self.reached,
            "limit": self.limit,
        }


def table(rows: Sequence[Measured]) -> str:
    """Return all rows, one line each."""
    return columns([HEAD, *(row.cells() for row in rows)])


def columns(lines: Sequence[Sequence[str]]) -> str:
    """Return lines of cells below each other, the first one the head."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def keep(rows: Iterable[Measured], path: Path, *, quick: bool) -> None:
    """Write all rows as JSON."""
    path.parent.mkdir(exist_ok=True)
    document = {"quick": quick, "rows": [row.document() for row in rows]}
    path.write_text(json.dumps(document, indent=1) + "\n", "utf-8")


def _shown(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 10**SHOWN_DIGITS else f"{value:.{SHOWN_DIGITS}g}"
