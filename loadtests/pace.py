"""Was the wait as it was told, and the store as busy as it may be?"""

from collections.abc import Sequence

from loadtests.evidence import Issued, Row, Terms
from loadtests.finding import Finding, found
from loadtests.windows import burst_needed, most_within

TOLD_TRUE_MIN = 0.9  # of those told a range and called, inside or before it
SAMPLE_MIN = 20
SECOND_US = 1_000_000
HELD_S = 0.1  # rows on their way to the store are recorded a moment after they were paid for
HELD_IN_TROUBLE_S = 2.0  # and where somebody else held its lock


def punctuality(
    terms: Terms, passes: Sequence[Issued], stops_us: Sequence[tuple[int, int]]
) -> tuple[int, int, int]:
    """Return how many were called before, inside and after the first range they were told.

    A turn is seen at the next look, which may be one check-in after it has come. For as long as nobody
    could be admitted all who wait are told so: the range moves on by it.
    """
    before = inside = after = 0
    for each in passes:
        if each.told_us and each.called_at_us:
            stopped_us = sum(
                max(0, min(until_us, each.called_at_us) - max(from_us, each.told_at_us))
                for from_us, until_us in stops_us
            )
            late_us = each.told_us[1] + terms.check_in_s * SECOND_US + stopped_us
            before += each.called_at_us < each.told_us[0]
            inside += each.told_us[0] <= each.called_at_us <= late_us
            after += late_us < each.called_at_us
    return before, inside, after


def told_true(
    terms: Terms, passes: Sequence[Issued], stops_us: Sequence[tuple[int, int]] = ()
) -> Finding:
    """Nine of ten are called inside the first range they were told, or before it."""
    before, inside, after = punctuality(terms, passes, stops_us)
    told = before + inside + after
    share = (before + inside) / told if told else 1.0
    detail = f"{share:.1%} of {told:,}: {before:,} before, {inside:,} inside, {after:,} after"
    faults = [detail] if told >= SAMPLE_MIN and share < TOLD_TRUE_MIN else []
    return found("waits are as they were told, or shorter", faults, detail, excusable=True)


def store_within(terms: Terms, rows: Sequence[Row], troubles: Sequence[str]) -> Finding:
    """The store was never sent more rows than it is said to take."""
    recorded_us = sorted(row.recorded_at_us for row in rows)
    busiest = most_within(recorded_us, SECOND_US)
    if not terms.store_per_s:
        detail = f"busiest second {busiest:,} rows; its limit is not known here"
        return found("the store is never above its limit", [], detail)
    needed = burst_needed(recorded_us, terms.store_per_s)
    held_s = HELD_IN_TROUBLE_S if troubles else HELD_S
    allowed = terms.store_per_s * (1 + held_s)
    faults = [f"a burst of {needed:.1f}, allowed {allowed:.1f}"] if needed > allowed else []
    detail = f"busiest second {busiest:,} rows, limit {terms.store_per_s:,}/s"
    return found("the store is never above its limit", faults, detail)
