"""Who may do what on the operator's listener."""

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core import credentials
from gateway.core.credentials import (
    ACCESS,
    LIFE_S_MAX,
    Operator,
    Role,
    digest,
    enrol,
    find,
    issue,
    parse,
    read_operators,
    role_needed,
    write_operators,
)
from gateway.core.tickets import Credential, Key, Keyring, Kind, sign, verify
from tests.core.seeding import seed

NOW_US = 1_786_000_000_123_456
IDS = st.from_regex(r"[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?", fullmatch=True)
SECRETS = st.binary(min_size=32, max_size=32)
PRINTABLE = "".join(map(chr, range(32, 127)))


@given(IDS, SECRETS)
def test_a_credential_names_its_owner(operator_id: str, secret: bytes) -> None:
    text = issue(operator_id, secret)
    assert re.fullmatch(r"gwo_[a-z0-9-]+_[A-Za-z0-9_-]{43}_[0-9a-f]{8}", text)
    assert parse(text) == operator_id


@given(SECRETS, st.integers(0, 200), st.sampled_from(PRINTABLE))
def test_every_mistyped_character_is_noticed(secret: bytes, place: int, typed: str) -> None:
    text = issue("ctl", secret)
    place %= len(text)
    mistyped = text[:place] + typed + text[place + 1 :]
    assert mistyped == text or parse(mistyped) is None


@given(SECRETS, st.integers(0, 200))
def test_a_cut_lengthened_or_padded_one_is_noticed(secret: bytes, place: int) -> None:
    text = issue("ctl", secret)
    place %= len(text)
    assert parse(text[:place]) is None
    assert parse(text + text[place:]) is None or not text[place:]
    for spelt in (text + "\n", " " + text, text.upper(), text + "="):
        assert parse(spelt) is None


@pytest.mark.parametrize("operator_id", ["", "A", "a_b", "-a", "a-", "a" * 33, "ä", "a b"])
def test_an_id_that_could_be_misread_is_not_issued(operator_id: str) -> None:
    with pytest.raises(ValueError, match="an id has"):
        issue(operator_id, bytes(32))


@pytest.mark.parametrize("size", [0, 16, 31, 33])
def test_a_secret_of_another_length_is_not_issued(size: int) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        issue("ctl", bytes(size))


def test_only_the_digest_is_kept_and_it_opens() -> None:
    text, operator = enrol("rina", Role.OPERATOR, bytes(32), now_us=NOW_US)
    _, other = enrol("budi", Role.ADMIN, bytes([1] * 32), now_us=NOW_US)
    assert find([other, operator], text) is operator
    assert find([other], text) is None
    assert find([], text) is None
    assert operator.digest == digest(text)
    assert text not in repr(operator)
    assert operator.digest.hex() not in repr(operator)


def test_a_malformed_one_is_nobodys_even_where_its_digest_is_known() -> None:
    operator = Operator("x", Role.ADMIN, digest("hello"), 0, NOW_US)
    assert find([operator], "hello") is None


def test_a_credential_lives_ninety_days() -> None:
    _, operator = enrol("rina", Role.VIEWER, bytes(32), now_us=NOW_US)
    assert operator.issued_at_us == NOW_US - 123_456
    assert operator.expires_at_us - operator.issued_at_us == LIFE_S_MAX * 1_000_000


@given(st.lists(st.tuples(IDS, st.sampled_from(Role), SECRETS), unique_by=lambda row: row[0]))
def test_what_is_written_is_read(rows: list[tuple[str, Role, bytes]]) -> None:
    operators = tuple(
        enrol(operator_id, role, secret, now_us=NOW_US)[1] for operator_id, role, secret in rows
    )
    assert read_operators(write_operators(operators)) == operators


def document(**changes: Any) -> str:
    _, operator = enrol("rina", Role.VIEWER, bytes(32), now_us=NOW_US)
    written = json.loads(write_operators([operator]))
    written["operators"][0] |= changes
    return json.dumps(written)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is not JSON"),
        ("{", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("[]", "version"),
        ('{"version": 2, "operators": []}', "version"),
        ('{"version": 1}', "list"),
        ('{"version": 1, "operators": {}}', "list"),
        ('{"version": 1, "operators": [1]}', r"operators\[0\]"),
        (json.dumps({"version": 1, "operators": [{}] * 257}), "at most 256"),
        (document(note="x"), "exactly the members"),
        (document(id=7), "must be a text"),
        (document(id="Rina"), r"\.id"),
        (document(role="root"), r"\.role"),
        (document(role="ADMIN"), r"\.role"),
        (document(role="adm\u0131n"), r"\.role"),
        (document(sha256="AB" * 32), r"\.sha256"),
        (document(sha256="ab" * 31), r"\.sha256"),
        (document(issued_at="yesterday"), r"\.issued_at"),
        (document(issued_at="2026-01-01T00:00:00"), "offset"),
        (document(expires_at="2099-01-01T00:00:00+00:00"), "90 days"),
        (document(expires_at="2020-01-01T00:00:00+00:00"), "90 days"),
    ],
)
def test_a_malformed_list_is_refused_with_place_and_reason(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        read_operators(text)


def test_two_operators_with_one_id_are_refused() -> None:
    twice = json.loads(document())
    twice["operators"] *= 2
    with pytest.raises(ValueError, match="same id"):
        read_operators(json.dumps(twice))


def test_the_table_asks_for_a_credential_wherever_something_is_told_or_changed() -> None:
    free = {path for (_, path), role in ACCESS.items() if role is None}
    page = {
        "/",
        "/wall",
        "/console/{file}",
    }  # the same bytes for everybody, and no figure among them
    assert free == {"/healthz", "/readyz", "/metrics"} | page
    for (method, path), role in ACCESS.items():
        assert role_needed(method, path) is role
        is_own_login = path == "/v1/session"  # changes what one browser holds, and nothing here
        assert method == "GET" or is_own_login or (role or 0) >= Role.OPERATOR


def test_what_is_not_in_the_table_needs_a_credential_and_a_head_is_a_get() -> None:
    assert role_needed("GET", None) is Role.VIEWER
    assert role_needed("DELETE", "/healthz") is Role.VIEWER
    assert role_needed("GET", "/v1/everything") is Role.VIEWER
    assert role_needed("HEAD", "/healthz") is None


def every_flipped_bit_opens_nothing() -> None:
    text, operator = enrol("rina", Role.ADMIN, bytes(range(32)), now_us=NOW_US)
    raw = text.encode()
    for bit in range(len(raw) * 8):
        flipped = bytearray(raw)
        flipped[bit // 8] ^= 1 << bit % 8
        assert parse(flipped.decode("latin-1")) is None
        assert find([operator], flipped.decode("latin-1")) is None


def test_i_34_every_flipped_bit_is_noticed_and_opens_nothing() -> None:
    every_flipped_bit_opens_nothing()


def test_i_35_a_ticket_is_no_credential_and_a_credential_no_ticket() -> None:
    keys = Keyring(Key(1, bytes(32)))
    text, operator = enrol("rina", Role.ADMIN, bytes(32), now_us=NOW_US)
    for kind in Kind:
        signed = sign(keys, Credential(kind, "p", "w", "0" * 16, 1, 1, 1, bytes(8)))
        assert find([operator], signed) is None
        assert verify(keys, text, kind, "w") is None


SEEDED_BUGS = {
    "I-34 the check characters are not looked at": ("match[2] if match and match[3] == _check(match[1]) else None", "match and match[2]"),
    "I-34 case does not matter": ("_CREDENTIAL.fullmatch(text)", "_CREDENTIAL.fullmatch(text[:4].lower() + text[4:])"),
}  # fmt: skip


@pytest.mark.parametrize("bug", SEEDED_BUGS)
def test_a_seeded_bug_is_found(bug: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seed(monkeypatch, credentials, *SEEDED_BUGS[bug])
    with pytest.raises(AssertionError):
        every_flipped_bit_opens_nothing()
