"""I-34, I-35, I-37: only what was signed is taken, for its kind and wave, in its one spelling."""

import base64
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.tickets import (
    TEXT_BYTES_MAX,
    Credential,
    Key,
    Keyring,
    Kind,
    owner_of,
    sign,
    verify,
    verify_number,
)

KEYS = Keyring(Key(1, bytes(range(32))), (Key(7, bytes(range(1, 33))),))
TICKET = Credential(
    Kind.TICKET, "prakerja-2020", "wave-1", "0123456789abcdef", 168_213, 0, 1_586_606_400_000_000, b"12345678"
)  # fmt: skip
credentials = st.builds(
    Credential,
    kind=st.sampled_from(Kind),
    programme_id=st.from_regex(r"[a-z0-9-]{1,64}", fullmatch=True),
    wave_id=st.from_regex(r"[a-z0-9-]{1,64}", fullmatch=True),
    epoch=st.from_regex(r"[0-9a-f]{16}", fullmatch=True),
    number=st.integers(0, 2**64 - 1),
    serial=st.integers(0, 2**32 - 1),
    issued_at_us=st.integers(0, 2**64 - 1),
    nonce=st.binary(min_size=8, max_size=8),
)


@given(credentials)
def test_what_was_signed_is_read_back_whole(credential: Credential) -> None:
    text = sign(KEYS, credential)
    assert len(text) <= TEXT_BYTES_MAX
    assert verify(KEYS, text, credential.kind, credential.wave_id) == credential
    assert verify(KEYS, text.encode(), credential.kind, credential.wave_id) == credential


def test_every_flipped_bit_is_refused() -> None:
    raw = bytearray(base64.urlsafe_b64decode(sign(KEYS, TICKET) + "=="))
    for bit in range(len(raw) * 8):
        raw[bit // 8] ^= 1 << bit % 8
        forged = base64.urlsafe_b64encode(raw).rstrip(b"=")
        assert verify(KEYS, forged, Kind.TICKET, "wave-1") is None
        raw[bit // 8] ^= 1 << bit % 8


def test_every_truncation_and_extension_is_refused() -> None:
    text = sign(KEYS, TICKET)
    for length in range(len(text)):
        assert verify(KEYS, text[:length], Kind.TICKET, "wave-1") is None
        assert verify(KEYS, text[length:] * 2, Kind.TICKET, "wave-1") is None
    for more in ("A", "AA", "AAAA", "=", "==", " ", "\n"):
        assert verify(KEYS, text + more, Kind.TICKET, "wave-1") is None
        assert verify(KEYS, more + text, Kind.TICKET, "wave-1") is None


def test_other_spellings_of_the_same_bytes_are_refused() -> None:
    text = sign(KEYS, TICKET)
    raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    standard = base64.b64encode(raw).decode().rstrip("=")
    loose = text[:-1] + chr(ord(text[-1]) + 1)
    for other in {standard, text + "=" * (-len(text) % 4), loose, text.swapcase()} - {text}:
        assert verify(KEYS, other, Kind.TICKET, "wave-1") is None


@given(st.binary(max_size=600) | st.text(max_size=200).map(lambda t: t.encode("utf-8", "replace")))
def test_anything_else_is_refused_and_never_raises(garbage: bytes) -> None:
    assert verify(KEYS, garbage, Kind.TICKET, "wave-1") is None


@pytest.mark.parametrize("text", ["é", "\ud800", "😀" * 20, "A" * 10_000])
def test_text_that_is_no_ascii_or_too_long_is_refused(text: str) -> None:
    assert verify(KEYS, text, Kind.TICKET, "wave-1") is None


def test_kind_and_wave_are_inside_what_is_signed() -> None:
    text = sign(KEYS, TICKET)
    assert verify(KEYS, text, Kind.PASS, "wave-1") is None
    assert verify(KEYS, text, Kind.TICKET, "wave-2") is None
    # Without the length before it, moving a letter over the border would be the same bytes.
    one = sign(KEYS, replace(TICKET, programme_id="ab", wave_id="c"))
    other = sign(KEYS, replace(TICKET, programme_id="a", wave_id="bc"))
    assert one != other


def test_keys_rotate_without_refusing_anybody_and_a_retired_one_is_refused() -> None:
    old, new = KEYS.others[0], KEYS.current
    before = sign(Keyring(old), TICKET)
    assert verify(KEYS, before, Kind.TICKET, "wave-1") == TICKET
    assert verify(Keyring(new), before, Kind.TICKET, "wave-1") is None
    assert verify(Keyring(Key(old.id, new.secret)), before, Kind.TICKET, "wave-1") is None


def test_keys_do_not_show_themselves() -> None:
    assert KEYS.current.secret.hex() not in repr(KEYS)
    assert "secret" not in repr(KEYS)


def test_the_number_alone_is_read_from_what_is_ours_and_from_nothing_else() -> None:
    owner = owner_of(Kind.TICKET, TICKET.programme_id, TICKET.wave_id)
    text = sign(KEYS, TICKET).encode()
    assert verify_number(KEYS, text, owner) == TICKET.number
    for at in range(len(text)):
        for other in (text[:at], text[:at] + b"A" + text[at + 1 :], text[:at] + b"=" + text[at:]):
            assert other == text or verify_number(KEYS, other, owner) is None
    for kind, programme, wave in (
        (Kind.PASS, TICKET.programme_id, TICKET.wave_id),
        (Kind.TICKET, TICKET.programme_id + "x", TICKET.wave_id),
        (Kind.TICKET, TICKET.programme_id, TICKET.wave_id[:-1]),
    ):
        assert verify_number(KEYS, text, owner_of(kind, programme, wave)) is None
