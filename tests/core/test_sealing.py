"""A sealed form belongs to one entry, and is told from a form in clear."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.sealing import HEAD_BYTES, TAG_BYTES, associated_data, is_sealed, join, split

names = st.text(max_size=20)


@given(st.integers(0, 255), st.binary(min_size=12, max_size=12), st.binary(min_size=16))
def test_what_was_put_together_is_taken_apart(key_id: int, nonce: bytes, text: bytes) -> None:
    sealed = join(key_id, nonce, text)
    assert is_sealed(sealed)
    assert split(sealed) == (key_id, nonce, text)


@given(st.tuples(names, names, names), st.tuples(names, names, names))
def test_no_two_entries_share_their_associated_data(
    one: tuple[str, str, str], other: tuple[str, str, str]
) -> None:
    assert (associated_data(*one, 1) == associated_data(*other, 1)) == (one == other)
    assert associated_data(*one, 1) != associated_data(*one, 2)


@pytest.mark.parametrize(
    "payload", [b"", b"{}", b'{"nik":"1"}', b"\x01", b"\x01" * (HEAD_BYTES + TAG_BYTES - 1)]
)
def test_what_is_in_clear_or_cut_is_not_taken_apart(payload: bytes) -> None:
    assert split(payload) is None
