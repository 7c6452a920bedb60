"""I-34, I-35, I-37: only what was signed is taken, for its kind and wave, in its one spelling."""

import base64
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core import tickets
from gateway.core.tickets import (
    MAC_BYTES,
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
from tests.core.seeding import seed

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


def test_fields_cannot_lend_each_other_a_letter() -> None:
    # Without the length before it, moving a letter over the border would be the same bytes.
    one = sign(KEYS, TICKET._replace(programme_id="ab", wave_id="c"))
    other = sign(KEYS, TICKET._replace(programme_id="a", wave_id="bc"))
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


def test_swapped_fields_and_another_key_id_are_refused() -> None:
    raw = base64.urlsafe_b64decode(sign(KEYS, TICKET) + "==")
    other = base64.urlsafe_b64decode(sign(KEYS, TICKET._replace(number=1)) + "==")
    for start in range(0, len(raw) - MAC_BYTES, 4):
        for end in range(start + 4, len(raw) + 1, 4):
            mixed = raw[:start] + other[start:end] + raw[end:]
            if mixed not in (raw, other):
                text = base64.urlsafe_b64encode(mixed).rstrip(b"=")
                assert verify(KEYS, text, Kind.TICKET, "wave-1") is None
    for key_id in set(range(256)) - {raw[1]}:
        text = base64.urlsafe_b64encode(raw[:1] + bytes([key_id]) + raw[2:]).rstrip(b"=")
        assert verify(KEYS, text, Kind.TICKET, "wave-1") is None


def test_an_unknown_key_is_no_key() -> None:
    assert KEYS.find(KEYS.current.id) is KEYS.current
    assert KEYS.find(KEYS.others[0].id) is KEYS.others[0]
    assert KEYS.find(200) is None


def rotation() -> list[Keyring]:
    """Return what a process holds, one step after another: the next key verifies before it signs."""
    old, new = KEYS.others[0], KEYS.current
    return [Keyring(old), Keyring(old, (new,)), Keyring(new, (old,)), Keyring(new)]


def refusals(steps: list[Keyring]) -> int:
    """Count who refuses whom among processes one step apart, while tickets under both keys live."""
    pairs = [*pairwise(steps), *pairwise(steps[::-1])]
    texts = [(sign(signer, TICKET), verifier) for signer, verifier in pairs]
    return sum(verify(keys, text, Kind.TICKET, "wave-1") != TICKET for text, keys in texts)


def test_i_37_a_fleet_in_rotation_refuses_nobody() -> None:
    assert refusals(rotation()) == 0
    hasty = [rotation()[0], rotation()[2]]  # the new key signs before all processes know it
    assert refusals(hasty) == 1


SEEDED_BUGS: dict[str, tuple[str, str, Callable[[], None]]] = {
    "I-34 the MAC is not compared": ("compare_digest(_mac(key, body), mac)", "len(mac) == MAC_BYTES", test_every_flipped_bit_is_refused),
    "I-34 half of the MAC is compared": ("compare_digest(_mac(key, body), mac)", "compare_digest(_mac(key, body)[:8], mac[:8])", test_every_flipped_bit_is_refused),
    "I-34 the head is not signed": ("keyed.update(body)", "keyed.update(body[1:])", test_every_flipped_bit_is_refused),
    "I-34 the end is not signed": ("keyed.update(body)", "keyed.update(body[:-8])", test_every_flipped_bit_is_refused),
    "I-34 lenient base64": ('b2a_base64(raw, newline=False).translate(_TO_URLSAFE, b"=") != spelling', "False", test_other_spellings_of_the_same_bytes_are_refused),
    "I-34 an unknown key id is the current key's": ("next((key for key in self.others if key.id == key_id), None)", "self.current", test_an_unknown_key_is_no_key),
    "I-35 kind not compared": ("credential.kind is not kind or ", "", test_kind_and_wave_are_inside_what_is_signed),
    "I-35 wave not compared": (" or credential.wave_id != wave_id", "", test_kind_and_wave_are_inside_what_is_signed),
    "I-35 fields joined without their length": ("bytes([kind, len(programme)]) + programme + bytes([len(wave)]) + wave", "bytes([kind]) + programme + wave", test_fields_cannot_lend_each_other_a_letter),
    "I-35 owner of a number not compared": ("not body.startswith(owner, _OWNER_AT)", "False", test_the_number_alone_is_read_from_what_is_ours_and_from_nothing_else),
    "I-37 only the current key verifies": ("next((key for key in self.others if key.id == key_id), None)", "None", test_keys_rotate_without_refusing_anybody_and_a_retired_one_is_refused),
}  # fmt: skip


@pytest.mark.parametrize("bug", SEEDED_BUGS)
def test_a_seeded_bug_is_found(bug: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sound, broken, proof = SEEDED_BUGS[bug]
    seed(monkeypatch, tickets, sound, broken)
    with pytest.raises(AssertionError):
        proof()
