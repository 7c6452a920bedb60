"""Was everybody served in order? Of numbers, of positions, and of those who were called and there."""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence

from gateway.core.draw import Draw
from loadtests.evidence import Issued, Joined, Terms
from loadtests.finding import Finding, found

NO_BOARD = "the board did not answer at the end"


def in_order(joins: Sequence[Joined], draw: Draw | None) -> Finding:
    """Who was answered before another asked has the smaller number; no number is given twice.

    Checked for those who joined after the opening: the others are drawn.
    """
    times = Counter(each.number for each in joins)
    faults = [
        f"number {number} given {count} times" for number, count in times.items() if count > 1
    ]
    faults += [] if draw else [NO_BOARD]
    late = [each for each in joins if draw and each.number >= draw.cohort]
    answered = sorted(late, key=lambda each: each.answered_at_us)
    greatest, before = -1, 0
    for each in sorted(late, key=lambda each: each.asked_at_us):
        while before < len(answered) and answered[before].answered_at_us < each.asked_at_us:
            greatest = max(greatest, answered[before].number)
            before += 1
        if each.number < greatest:
            faults.append(f"{greatest} was given before {each.number} was asked for")
    detail = f"{len(joins):,} numbers, {len(late):,} after the opening"
    return found("numbers follow the order of joining", faults, detail)


def not_overtaken(
    terms: Terms,
    passes: Sequence[Issued],
    draw: Draw | None,
    stops_us: Sequence[tuple[int, int]] = (),
) -> Finding:
    """While somebody who is called and there claims, only so many behind it are admitted.

    Where nobody could be admitted for a while, those who are called pile up, and it takes as long again
    until they are gone: so many more may be served first.
    """
    promise = "whoever is called and there is not overtaken"
    if draw is None:
        return found(promise, [NO_BOARD], "")
    by_time = sorted((each.issued_at_us, draw.position(each.number)) for each in passes)
    usual = terms.rate_per_s * terms.check_in_s + terms.burst
    present = [each for each in passes if each.called_at_us]
    worst, faults = 0, []
    for each in present:
        own = draw.position(each.number)
        first = bisect_right(by_time, (each.called_at_us, -1))
        last = bisect_left(by_time, (each.issued_at_us, -1))
        behind = sum(position > own for _, position in by_time[first:last])
        worst = max(worst, behind)
        if behind > usual + terms.rate_per_s * _piled_up_s(each, stops_us):
            faults.append(f"{behind} were admitted before position {own}")
    detail = f"by {worst} at most, of {usual:g}; {len(present):,} looked at"
    return found(promise, faults, detail, excusable=True)  # late claims are its own doing


def _piled_up_s(each: Issued, stops_us: Sequence[tuple[int, int]]) -> float:
    """Return how long nobody had been admitted, as far as that still mattered when this one was called."""
    return sum(
        (until_us - from_us) / 1e6
        for from_us, until_us in stops_us
        if from_us < each.issued_at_us and each.called_at_us < until_us + (until_us - from_us)
    )


def drawn(positions: Mapping[int, int], draw: Draw | None, *, is_verified: bool) -> Finding:
    """Everybody stands where the published draw puts it, and the draw is the one committed to."""
    promise = "the draw is verified"
    if draw is None:
        return found(promise, [NO_BOARD], "")
    faults = [] if is_verified else ["`gateway verify-draw --all` says no"]
    faults += [
        f"number {number} was told {position}, drawn {draw.position(number)}"
        for number, position in positions.items()
        if draw.position(number) != position
    ]
    of_cohort = sum(number < draw.cohort for number in positions)
    detail = (
        f"cohort {draw.cohort:,}; {of_cohort:,} of it and {len(positions) - of_cohort:,} others"
    )
    return found(promise, faults, detail)
