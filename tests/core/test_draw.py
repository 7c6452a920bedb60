"""I-25: the draw is a permutation fixed by published values, and fair."""

import json
import math
import random
from collections import Counter
from collections.abc import Callable
from hashlib import sha256
from itertools import combinations, pairwise, permutations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core import draw as draw_module
from gateway.core.draw import COHORT_MAX, Draw, commitment, draw_secret, seed
from tests.core.seeding import seed as seed_bug

SEED_OF_SEEDS = 20_200_411  # every statistic below is of the same draws in every run
VECTORS = json.loads((Path(__file__).parent / "draw_vectors.json").read_text())
seeds = st.binary(min_size=32, max_size=32)


def plain_position(seed_: bytes, cohort: int, number: int) -> int:
    """Recompute a position from the published rule alone, as an outsider would write it."""
    bits = max(6, len(bin(cohort - 1)) - 2)
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


@pytest.mark.parametrize("cohort", [10_007, 16_384, 16_385])
def test_medium_cohorts_are_permuted_exhaustively(cohort: int) -> None:
    draw = Draw(sha256(cohort.to_bytes(4, "big")).digest(), cohort)
    assert {draw.position(number) for number in range(cohort)} == set(range(cohort))


def orders(cohort: int, draws: int) -> list[list[int]]:
    """Return the positions of all numbers in so many draws."""
    rng = random.Random(SEED_OF_SEEDS + cohort)
    made = (Draw(rng.randbytes(32), cohort) for _ in range(draws))
    return [[draw.position(number) for number in range(cohort)] for draw in made]


def assert_fair(chi2: float, freedom: int) -> None:
    """Compare with the value that chance exceeds once in 10,000 times (Wilson and Hilferty 1931)."""
    part = 2 / (9 * freedom)
    assert chi2 < freedom * (1 - part + 3.72 * math.sqrt(part)) ** 3


@pytest.mark.parametrize("cohort", [2, 3, 5, 8, 13, 16, 33, 64])
def test_every_place_is_equally_likely_for_everybody(cohort: int) -> None:
    """Chi-square over number x position; rows and columns have fixed sums, hence the factor."""
    made = orders(cohort, max(200, min(1_000, 8_000 // cohort)))
    counts = Counter(cell for order in made for cell in enumerate(order))
    expected = len(made) / cohort
    cells = ((number, place) for number in range(cohort) for place in range(cohort))
    chi2 = sum((counts[cell] - expected) ** 2 for cell in cells) / expected
    assert_fair(chi2 * (cohort - 1) / cohort, (cohort - 1) ** 2)


@pytest.mark.parametrize(("cohort", "draws"), [(3, 600), (4, 1_000), (5, 3_600)])
def test_every_order_of_a_few_is_equally_likely(cohort: int, draws: int) -> None:
    made = Counter(map(tuple, orders(cohort, draws)))
    expected = draws / math.factorial(cohort)
    chi2 = sum((made[order] - expected) ** 2 for order in permutations(range(cohort))) / expected
    assert_fair(chi2, math.factorial(cohort) - 1)


@pytest.mark.parametrize("cohort", [2, 7, 24])
def test_of_any_two_each_is_as_often_before_the_other(cohort: int) -> None:
    draws = 500
    made = orders(cohort, draws)
    for one, other in combinations(range(cohort), 2):
        before = sum(order[one] < order[other] for order in made)
        assert abs(before - draws / 2) < 4.5 * math.sqrt(draws) / 2


def test_one_bit_of_the_seed_changes_the_whole_order() -> None:
    """In two unrelated orders one visitor keeps its place, give or take one."""
    cohort, base = 500, sha256(b"avalanche").digest()
    before = [Draw(base, cohort).position(number) for number in range(cohort)]
    kept = 0
    for bit in range(0, 256, 8):
        flipped = bytearray(base)
        flipped[bit // 8] ^= 1 << (bit // 8 % 8)
        after = Draw(bytes(flipped), cohort)
        kept += sum(after.position(number) == place for number, place in enumerate(before))
    assert abs(kept - 32) < 4 * math.sqrt(32)


def middle() -> None:
    test_medium_cohorts_are_permuted_exhaustively(10_007)


def few() -> None:
    test_every_order_of_a_few_is_equally_likely(4, 1_000)


def vectors() -> None:
    for vector in VECTORS:
        test_the_published_vectors_hold(vector)


SEEDED_BUGS: dict[str, tuple[str, str, Callable[[], None]]] = {
    "I-25 two people in one place": ("value = self._pass(value, rounds)\n        return value", "value = value % self.cohort\n        return value", middle),
    "I-25 a round less": ("range(ROUNDS)", "range(ROUNDS - 1)", vectors),
    "I-25 three rounds": ("range(ROUNDS)", "range(3)", few),
    "I-25 early comers keep their half": ("left ^= self", "left ^= 0 & self", few),
    "I-25 the cohort is not in the seed": ('+ cohort.to_bytes(8, "big")', "", vectors),
    "I-25 another secret verifies": ("sha256(secret).hexdigest()", "sha256(secret[:16]).hexdigest()", vectors),
    "I-25 the seed is half used": ("sha256(self.seed + ", "sha256(self.seed[:16] + ", test_one_bit_of_the_seed_changes_the_whole_order),
}  # fmt: skip


@pytest.mark.parametrize("bug", SEEDED_BUGS)
def test_a_seeded_bug_spoils_the_draw(bug: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sound, broken, proof = SEEDED_BUGS[bug]
    proof()
    seed_bug(monkeypatch, draw_module, sound, broken)
    with pytest.raises(AssertionError):
        proof()


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
