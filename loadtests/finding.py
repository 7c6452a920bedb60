"""One promise, and whether it was kept."""

from collections.abc import Sequence
from dataclasses import dataclass

SHOWN_MAX = 3  # examples


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found of one promise."""

    promise: str
    kept: bool
    detail: str
    excusable: bool = False  # by a generator that could not keep up


def found(promise: str, faults: Sequence[str], detail: str, *, excusable: bool = False) -> Finding:
    """Return the finding; it is kept where there are no faults."""
    if not faults:
        return Finding(promise, kept=True, detail=detail, excusable=excusable)
    shown = "; ".join(faults[:SHOWN_MAX])
    more = f"; and {len(faults) - SHOWN_MAX:,} more" if len(faults) > SHOWN_MAX else ""
    return Finding(promise, kept=False, detail=f"{shown}{more}", excusable=excusable)
