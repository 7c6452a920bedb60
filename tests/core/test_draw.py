"""I-25: the draw is a permutation fixed by published values, and fair."""

import json
import math
import random
from hashlib import sha256
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.draw import COHORT_MAX, Draw, commitment, draw_secret, seed

VECTORS = json.loads((Path(__file__).parent / "draw_vectors.json").read_text())
seeds = st.binary(min_size=32, max_size=32)


def plain_position(seed_: bytes, cohort: int, number: int) -> int:
    """Recompute a position from the published rule alone, as an outsider would write it."""
    bits = max(2, len(bin(cohort - 1)) - 2)
    a, c = bits // 2, bits - bits // 2
    value = number
    while True:
        left, right = value >> c, value % 2**c
        for r in range(10):
            half = right if r % 2 == 0 else left
            f = int.from_bytes(
                sha256(seed_ + bytes([r]) + half.to_bytes(4, "big")).digest()[:4], "big"
            )
            if r % 2 == 0:
                left = left ^ f % 2**a
            else:
                right = right ^ f % 2**c
        value = int(left * 2**c + right)
        if value < cohort:
            return value


@pytest.mark.parametrize("cohort", range(1, 301))
def test_small_cohorts_are_permuted_exhaustively(cohort: int) -> None:
    draw = Draw(sha256(bytes([cohort % 256])).digest(), cohort)
    positions = [draw.position(number) for number in range(cohort)]
    assert sorted(positions) == list(range(cohort))
    assert [draw.number(position) for position in positions] == list(range(cohort))


@given(seeds, st.integers(1, 10_000_000), st.data())
def test_large_cohorts_are_permuted_one_to_one(
    seed_: bytes, cohort: int, data: st.DataObject
) -> None:
    draw = Draw(seed_, cohort)
    number = data.draw(st.integers(0, cohort - 1))
    position = draw.position(number)
    assert 0 <= position < cohort
    assert draw.number(position) == number
    assert position == plain_position(seed_, cohort, number)


@given(seeds, st.integers(0, 1_000), st.integers(0, 10**7))
def test_those_who_came_later_stand_where_they_came(seed_: bytes, cohort: int, more: int) -> None:
    assert Draw(seed_, cohort).position(cohort + more) == cohort + more


@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: f"{v['programme']}-{v['cohort']}")
def test_the_published_vectors_hold(vector: dict[str, object]) -> None:
    secret = bytes.fromhex(str(vector["secret"]))
    cohort = int(str(vector["cohort"]))
    assert commitment(secret) == vector["commitment"]
    made = seed(
        secret, str(vector["programme"]), str(vector["wave"]), str(vector["beacon"]), cohort
    )
    assert made.hex() == vector["seed"]
    draw = Draw(made, cohort)
    positions = vector["positions"]
    assert isinstance(positions, dict)
    for number, position in positions.items():
        assert draw.position(int(number)) == position
        assert plain_position(made, cohort, int(number)) == position


def test_every_place_is_equally_likely_for_everybody() -> None:
    """Chi-square over number x position; a fair draw fails once in 100,000 runs."""
    cohort, draws = 8, 4_000
    rng = random.Random(20_200_411)
    counts = [[0] * cohort for _ in range(cohort)]
    for _ in range(draws):
        draw = Draw(rng.randbytes(32), cohort)
        for number in range(cohort):
            counts[number][draw.position(number)] += 1
    expected = draws / cohort
    chi2 = sum((count - expected) ** 2 / expected for row in counts for count in row)
    freedom = (cohort - 1) ** 2
    assert chi2 < freedom + 4.27 * math.sqrt(2 * freedom) + 10


def test_neighbours_at_joining_are_no_neighbours_afterwards() -> None:
    """The mean distance of neighbours in a random order is a third of its length."""
    cohort = 20_000
    draw = Draw(bytes(32), cohort)
    positions = [draw.position(number) for number in range(4_000)]
    distance = sum(abs(a - b) for a, b in pairwise(positions)) / 3_999
    assert abs(distance - cohort / 3) < cohort * 0.02


@pytest.mark.parametrize("change", ["secret", "programme", "wave", "beacon", "cohort"])
def test_every_published_value_is_in_the_seed(change: str) -> None:
    values = {"secret": b"s" * 32, "programme": "p", "wave": "w", "beacon": "", "cohort": 5}
    other = values | {change: {"secret": b"t" * 32, "cohort": 6}.get(change, "x")}
    assert seed(*values.values()) != seed(*other.values())  # type: ignore[arg-type]


def test_a_waves_secret_tells_nothing_of_another() -> None:
    key = b"k" * 32
    assert draw_secret(key, "p", "w1") != draw_secret(key, "p", "w2")
    assert draw_secret(key, "pw", "1") != draw_secret(key, "p", "w1")
    with pytest.raises(ValueError, match="outside"):
        Draw(bytes(32), COHORT_MAX + 1)
