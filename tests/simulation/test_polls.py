"""The pacing of many visitors at once is the core's pacing of each."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gateway.core import pacing
from gateway.simulation import polls

spans_s = st.lists(st.floats(0, 50_000), min_size=1, max_size=20)
rates = st.one_of(st.none(), st.just(0.0), st.floats(0.1, 500))


@given(spans_s, st.floats(1, 64))
def test_far_polls_are_the_cores(far_s: list[float], s: float) -> None:
    assert polls.poll_s(np.array(far_s), s).tolist() == [pacing.poll_s(far, s) for far in far_s]


@given(
    st.floats(0, 4_000), st.integers(0, 2_000_000), st.floats(1, 10_000),
    st.lists(st.floats(0, 0.999), min_size=1, max_size=20),
)  # fmt: skip
def test_looks_before_the_opening_are_the_cores(
    to_opening_s: float, waiting: int, budget: float, shares: list[float]
) -> None:
    told = polls.opening_poll_s(to_opening_s, waiting, budget, np.array(shares))
    assert told.tolist() == [
        pacing.opening_poll_s(to_opening_s, waiting, budget, share) for share in shares
    ]


@given(st.lists(st.integers(0, 2_000_000), min_size=1, max_size=20), rates, rates)
def test_ranges_are_the_cores(ahead: list[int], short: float | None, long: float | None) -> None:
    told = polls.eta_s(np.array(ahead, float), short, long)
    expected = [pacing.eta_s(each, short, long) for each in ahead]
    assert (told is None) == (expected[0] is None)
    if told is not None:
        assert [tuple(pair) for pair in told.T] == expected


@given(
    st.lists(st.integers(0, 2_000_000), min_size=1, max_size=20), st.integers(-5, 500_000),
    st.floats(0, 1),
)  # fmt: skip
def test_outlooks_are_the_cores(ahead: list[int], left: int, completion: float) -> None:
    told = polls.unlikely(np.array(ahead, float), left, completion)
    assert told.tolist() == [pacing.outlook(a, left, completion) != "likely" for a in ahead]
