"""The bitmap answers as a set of positions would."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.core.bitmap import Bitmap

positions = st.sets(st.integers(0, 200))


def bitmap_of(members: set[int]) -> Bitmap:
    bitmap = Bitmap()
    for position in members:
        bitmap.set(position)
    return bitmap


@given(positions, st.integers(0, 220), st.integers(0, 220))
def test_counts_and_first_zero_are_those_of_the_set(members: set[int], low: int, high: int) -> None:
    bitmap = bitmap_of(members)
    inside = [p for p in sorted(members) if low <= p < high]
    assert bitmap.count(low, high) == len(inside)
    if low <= high:
        absent = (p for p in range(low, high) if p not in members)
        assert bitmap.first_zero(low, high) == next(absent, high)
    for n in range(1, len(inside) + 1):
        assert bitmap.after_nth(n, low, high) == inside[n - 1] + 1
    assert bitmap.after_nth(0, low, high) == low


@given(positions, positions)
def test_clearing_takes_out_what_was_put_in(members: set[int], gone: set[int]) -> None:
    bitmap = bitmap_of(members)
    for position in gone:
        bitmap.clear(position)
    assert {p for p in range(220) if p in bitmap} == members - gone


@given(st.sets(st.integers(0, 20_000)), st.integers(0, 21_000), st.integers(0, 21_000))
def test_counts_over_whole_blocks_are_those_of_the_set(
    members: set[int], low: int, high: int
) -> None:
    bitmap = bitmap_of(members)
    assert bitmap.count(low, high) == sum(low <= position < high for position in members)


@given(st.integers(0, 9_000), st.integers(0, 9_000), st.integers(0, 9_000))
def test_the_first_gap_of_a_long_run_is_found(run: int, low: int, high: int) -> None:
    bitmap = bitmap_of(set(range(run)))
    if low <= high:
        assert bitmap.first_zero(low, high) == min(max(low, run), high)
