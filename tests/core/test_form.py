"""Forms: every field's error at once, nothing coerced, one canonical spelling. Promises 3.4, R-9 to R-19."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.form import (
    Choice,
    Field,
    canonical_json,
    check,
    content_digest,
    json_schema,
    person_digest,
)
from gateway.core.nik import is_nik

LABEL = {"id": "x", "en": "x"}
BOUNDS = {"text": (1, 200), "digits": (16, 16)}


def a_field(name: str, kind: Any, *, required: bool = True) -> Field:
    low, high = BOUNDS.get(kind, (0, 0))
    choices = (Choice("31", LABEL), Choice("32", LABEL)) if kind == "choice" else ()
    return Field(name, kind, required, LABEL, LABEL, low, high, choices)


FIELDS = (
    a_field("nik", "nik"),
    a_field("card", "digits"),
    a_field("name", "text"),
    a_field("born", "birth-date"),
    a_field("mobile", "phone"),
    a_field("email", "email", required=False),
    a_field("province", "choice"),
)
GOOD = {
    "nik": "3201014507900007", "card": "3201010101010001", "name": "Dewi Lestari", "born": "1990-07-05",
    "mobile": "0812-3456-7890", "email": "dewi@contoh.go.id", "province": "32",
}  # fmt: skip


def errors(**changes: Any) -> list[tuple[str, str]]:
    answer = check(FIELDS, GOOD | changes)
    return [] if isinstance(answer, dict) else [(e.pointer, e.code) for e in answer]


def test_a_good_form_becomes_canonical_in_the_order_of_its_fields() -> None:
    checked = check(FIELDS, dict(reversed(GOOD.items())) | {"name": "  Dewi Lestari "})
    assert isinstance(checked, dict)
    assert list(checked) == list(GOOD)
    assert checked["mobile"] == "+6281234567890"
    assert checked["name"] == "Dewi Lestari"


def test_an_empty_optional_field_is_left_out() -> None:
    for values in (GOOD | {"email": ""}, {k: v for k, v in GOOD.items() if k != "email"}):
        checked = check(FIELDS, values)
        assert isinstance(checked, dict)
        assert "email" not in checked


def test_every_error_is_told_at_once() -> None:
    told = check(FIELDS, {"nik": "1", "name": "", "born": 5, "colour": "red"})
    assert isinstance(told, tuple)
    assert {(e.pointer, e.code) for e in told} == {
        ("/nik", "nik-invalid"), ("/name", "field-missing"), ("/born", "field-type"),
        ("/colour", "field-unknown"), ("/card", "field-missing"), ("/mobile", "field-missing"),
        ("/province", "field-missing"),
    }  # fmt: skip
    assert "red" not in str(told)


@pytest.mark.parametrize("value", [3201014507900007, None, True, [], {}, 1.5])
def test_values_are_text_and_nothing_is_coerced(value: Any) -> None:
    assert errors(nik=value) == [("/nik", "field-type")]


@pytest.mark.parametrize(
    "nik",
    [
        "320101450790000", "32010145079000070", "3201 014507900007", "3201-014507900007", "320101450790000a",
        "0000000000000000", "3201014507900000", "0001014507900007", "9901014507900007", "3200014507900007",
        "3201004507900007", "3201014513900007", "3201010007900007", "3201013207900007", "3201014007900007",
        "3201017207900007", "3201018007900007", "3201018107900007", "3201019907900007", "3201013102900007", "3201017102900007", "３２０１０１４５０７９００００７", " 3201014507900007",
    ],
)  # fmt: skip
def test_a_nik_without_its_structure_is_refused(nik: str) -> None:
    assert errors(nik=nik) == [("/nik", "nik-invalid")]


@pytest.mark.parametrize(
    "nik", ["3201010507900007", "3201014507900007", "9601012902000001", "1101017112990001"]
)
def test_a_nik_with_its_structure_is_taken_whoever_it_is(nik: str) -> None:
    assert is_nik(nik)


@pytest.mark.parametrize(
    "name",
    [
        "\ud800",
        "a\u0000b",
        "a\u202eb",
        "\u200b",
        "a\nb",
        "a\x85b",
        "x" * 201,
        "\u2066x",
        "\u200b\u200d ",
    ],
)
def test_text_that_cannot_be_kept_or_shown_is_refused(name: str) -> None:
    assert errors(name=name) == [("/name", "text-invalid")]


@pytest.mark.parametrize(
    "name",
    ["D", "😀", "<script>alert(1)</script>", "'; DROP TABLE x", "${jndi:ldap}", "=cmd", "x" * 200],
)
def test_all_other_text_is_text(name: str) -> None:
    checked = check(FIELDS, GOOD | {"name": name})
    assert isinstance(checked, dict)
    assert checked["name"] == name


def test_two_spellings_of_one_letter_are_one_name() -> None:
    composed, decomposed = (
        check(FIELDS, GOOD | {"name": "é"}),
        check(FIELDS, GOOD | {"name": "e\u0301"}),
    )
    assert composed == decomposed


@pytest.mark.parametrize(
    "phone", ["081234567890", "+6281234567890", "6281234567890", "0812 3456 7890"]
)
def test_a_mobile_number_has_one_spelling(phone: str) -> None:
    checked = check(FIELDS, GOOD | {"mobile": phone})
    assert isinstance(checked, dict)
    assert checked["mobile"] == "+6281234567890"


@pytest.mark.parametrize(
    "phone", ["08123", "0812345678901234567890", "08abc4567890", "+1555123456", "021123456"]
)
def test_another_number_is_refused(phone: str) -> None:
    assert errors(mobile=phone) == [("/mobile", "phone-invalid")]


@pytest.mark.parametrize(
    "email",
    [
        "a@b",
        "a b@c.id",
        '"a"@b.id',
        "a@b..id",
        ".a@b.id",
        "a@-b.id",
        "x" * 250 + "@b.id",
        "a@b.i",
        "@b.id",
    ],
)
def test_a_broken_address_is_refused(email: str) -> None:
    assert errors(email=email) == [("/email", "email-invalid")]


def test_a_line_break_in_an_address_is_refused() -> None:
    assert errors(email="a@b.id\r\nBcc: c@d.id") == [("/email", "text-invalid")]


@pytest.mark.parametrize(
    "born", ["1990-02-30", "90-01-01", "1990/01/01", "1899-12-31", "19900101", "1990-1-1"]
)
def test_a_date_that_is_none_is_refused(born: str) -> None:
    assert errors(born=born) == [("/born", "date-invalid")]


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [("card", "12", "digits-invalid"), ("province", "99", "choice-invalid")],
)
def test_digits_and_choices_keep_their_bounds(name: str, value: str, code: str) -> None:
    assert errors(**{name: value}) == [(f"/{name}", code)]


@given(
    st.dictionaries(
        st.text(max_size=30),
        st.none() | st.text(max_size=50) | st.integers() | st.floats(),
        max_size=12,
    )
)
def test_any_document_is_answered(values: dict[str, Any]) -> None:
    answer = check(FIELDS, values)
    assert isinstance(answer, dict | tuple)
    if isinstance(answer, dict):
        assert json.loads(canonical_json(answer)) == answer


@given(st.dictionaries(st.text("ab_", max_size=3), st.text(max_size=20)))
def test_the_canonical_form_is_json_with_sorted_keys_and_no_spaces(values: dict[str, str]) -> None:
    text = json.dumps(values, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    assert canonical_json(values) == text.encode()


def test_the_same_form_has_the_same_bytes_in_whatever_order() -> None:
    assert (
        canonical_json({"b": "é", "a": "1"})
        == canonical_json({"a": "1", "b": "é"})
        == '{"a":"1","b":"é"}'.encode()
    )


def test_digests_are_keyed_and_keep_programme_and_person_apart() -> None:
    one = person_digest(b"k", "p", "320101")
    assert len(one) == 32
    assert person_digest(b"l", "p", "320101") != one
    assert person_digest(b"k", "p3", "20101") != one
    assert len(content_digest(b"k", b"{}")) == 16
    assert content_digest(b"l", b"{}") != content_digest(b"k", b"{}")


def test_the_schema_tells_what_is_asked_in_the_readers_language() -> None:
    schema = json_schema(FIELDS, "en")
    assert schema["additionalProperties"] is False
    assert "email" not in schema["required"]
    assert set(schema["properties"]) == set(GOOD)
    assert [c["const"] for c in schema["properties"]["province"]["oneOf"]] == ["31", "32"]
