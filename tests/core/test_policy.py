"""I-55: a policy is valid as a whole or refused as a whole, with every reason at once."""

from dataclasses import asdict, fields
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.policy import BOUNDS, Policy, diff, from_document, validate

BASE = Policy(rate_per_s=1_000, burst=1)


def codes(changes: dict[str, Any]) -> list[tuple[str, str]]:
    answer = validate(changes, BASE)
    return [] if isinstance(answer, Policy) else [(v.pointer, v.code) for v in answer]


def test_every_field_has_a_bound() -> None:
    assert set(BOUNDS) == {field.name for field in fields(Policy)}


@pytest.mark.parametrize("name", [n for n, b in BOUNDS.items() if b.kind in (int, float)])
def test_bounds_hold_at_their_edges(name: str) -> None:
    bound = BOUNDS[name]
    step = 1 if bound.kind is int else 0.0001
    convert = int if bound.kind is int else float
    wide = {"rate_per_s": 100_000.0} | {name: convert(bound.high)}
    assert codes(wide) == []
    low = {name: convert(bound.low)}
    assert codes(low) in ([], [("/burst", "burst")])
    for value in (bound.low - step, bound.high + 1):
        assert codes({name: convert(value) if bound.kind is float else int(value)}) == [
            (f"/{name}", "range")
        ]


@pytest.mark.parametrize(
    "value", [-1, 1e308, "10", None, True, float("nan"), float("inf"), 1e-7, 0, [], {}]
)
def test_a_nonsense_rate_is_refused(value: Any) -> None:
    assert codes({"rate_per_s": value})[0][0] == "/rate_per_s"


def test_all_violations_are_told_at_once() -> None:
    told = codes({"rate_per_s": "1O0", "quota": -1, "colour": 1, "paused": 1, "message": "a\nb"})
    assert {pointer for pointer, _ in told} == {
        "/rate_per_s", "/quota", "/colour", "/paused", "/message",
    }  # fmt: skip


@pytest.mark.parametrize(
    "text",
    ["16:00", "2020-04-16T16:00:00", "2020-04-16", "soon", "2020-02-30T16:00:00Z", "1e9", "0"],
)
def test_a_closing_that_is_no_instant_with_its_offset_is_refused(text: str) -> None:
    assert codes({"closes_at": text}) == [("/closes_at", "instant")]


def test_a_wave_closes_when_the_policy_says_and_without_that_when_the_programme_does() -> None:
    assert Policy().closes_us(5) == 5
    assert codes({"closes_at": ""}) == []
    for text in ("2020-04-16T16:00:00.25+07:00", "2020-04-16T09:00:00.250Z"):
        assert Policy(closes_at=text).closes_us(5) == 1_587_027_600_250_000


def test_the_burst_is_at_most_one_second_of_rate() -> None:
    assert codes({"rate_per_s": 5.0, "burst": 6}) == [("/burst", "burst")]
    assert codes({"rate_per_s": 0.5, "burst": 1}) == []


def test_what_only_two_fields_together_get_wrong_is_told_at_once_too() -> None:
    assert codes({"rate_per_s": 5.0, "burst": 6, "floor_per_s": 7.0, "quota": -1}) == [
        ("/quota", "range"), ("/burst", "burst"), ("/floor_per_s", "floor"),
    ]  # fmt: skip
    assert codes({"rate_per_s": 0, "burst": 99, "autopilot": "on"}) == [
        ("/rate_per_s", "range"), ("/autopilot", "choice"),
    ], "beside a rate that is none, no burst is too large"  # fmt: skip


@given(
    st.dictionaries(
        st.text(max_size=20), st.none() | st.booleans() | st.integers() | st.floats() | st.text()
    )
)
def test_any_document_is_answered_and_never_applied_in_part(changes: dict[str, Any]) -> None:
    answer = validate(changes, BASE)
    if isinstance(answer, Policy):
        assert set(diff(BASE, answer)) <= set(changes)
    else:
        assert answer


def test_the_difference_names_old_and_new() -> None:
    changed = validate({"quota": 5}, BASE)
    assert isinstance(changed, Policy)
    assert diff(BASE, changed) == {"quota": (1_000, 5)}
    assert asdict(changed)["rate_per_s"] == 1_000


def test_i_28_a_document_of_a_later_version_is_read_without_its_new_fields() -> None:
    later = asdict(BASE) | {"colour": "red"}
    assert from_document(later) == BASE
    assert from_document({"quota": 5}) == Policy(quota=5)
