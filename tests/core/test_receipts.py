"""A receipt can be typed: every slip of one character, and every swap of two neighbours, is found."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.receipts import ALPHABET, LENGTH, display, make, parse

randoms = st.binary(min_size=16, max_size=16)


@given(randoms)
def test_what_was_made_is_read_back_however_it_is_written(random: bytes) -> None:
    receipt = make(random)
    assert len(receipt) == LENGTH
    for typed in (receipt, receipt.lower(), display(receipt), display(receipt).replace("-", " ")):
        assert parse(typed) == receipt
    assert parse(receipt.replace("0", "O").replace("1", "I")) == receipt
    assert parse(receipt.replace("1", "l")) == receipt


@given(randoms, st.integers(0, LENGTH - 1), st.sampled_from(ALPHABET))
def test_one_wrong_character_is_found(random: bytes, place: int, letter: str) -> None:
    receipt = make(random)
    typed = receipt[:place] + letter + receipt[place + 1 :]
    assert parse(typed) == (receipt if letter == receipt[place] else None)


@given(randoms, st.integers(0, LENGTH - 2))
def test_two_swapped_neighbours_are_found(random: bytes, place: int) -> None:
    receipt = make(random)
    typed = receipt[:place] + receipt[place + 1] + receipt[place] + receipt[place + 2 :]
    assert parse(typed) == (receipt if typed == receipt else None)


@given(st.text(max_size=80))
def test_anything_else_is_no_receipt(text: str) -> None:
    parsed = parse(text)
    assert parsed is None or parse(parsed) == parsed


@given(randoms, randoms)
def test_different_bits_make_different_receipts(one: bytes, other: bytes) -> None:
    assert (make(one) == make(other)) == (one == other)


def test_only_sixteen_bytes_make_a_receipt() -> None:
    with pytest.raises(ValueError, match="16 random bytes"):
        make(b"short")
