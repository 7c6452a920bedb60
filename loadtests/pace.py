"""Was the wait as it was told, were looks quick, and was the store as busy as it may be?"""

from collections.abc import Mapping, Sequence

from loadtests.evidence import Issued, Row, Terms
from loadtests.finding import Finding, found
from loadtests.histogram import Histogram
from loadtests.windows import burst_needed, most_within

TOLD_TRUE_MIN = 0.9  # of those told a range and called, inside or before it
SAMPLE_MIN = 20
SECOND_US = 1_000_000
LOOKS_P99_MS_MAX = 300.0
# After a kill whoever was in the middle of a look has its answer, or has given up, within so long.
AFTER_KILL_S = 10.0
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


def looks_quick(
    looks_ms: Mapping[int, Histogram], kills_s: Sequence[tuple[float, float]]
) -> Finding:
    """Pages and polls are answered within 300 ms at p99, the generator's delay included.

    The criterion is that of a launch on which nothing is killed: seconds between a kill and the return of
    what was killed, and those in which looks begun there end, are told but not judged. Slow stores and
    pauses excuse nothing: no look waits for them.
    """
    whole, judged, spared = Histogram(), Histogram(), 0
    for at_s, each in looks_ms.items():
        whole += each
        if any(begin_s - 1 < at_s <= end_s + AFTER_KILL_S for begin_s, end_s in kills_s):
            spared += 1
        else:
            judged += each
    p99_ms = judged.quantile_ms(0.99)
    detail = f"p99 {p99_ms:.0f} ms of {judged.count:,}, limit {LOOKS_P99_MS_MAX:.0f} ms"
    if spared:
        detail += (
            f"; {spared} s around kills not judged, {whole.quantile_ms(0.99):.0f} ms with them"
        )
    faults = [detail] if p99_ms > LOOKS_P99_MS_MAX else []
    if not judged.count:
        faults = ["there is none to judge by"]
    return found("pages and polls are answered quickly", faults, detail, excusable=True)


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
