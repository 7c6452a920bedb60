"""Severe steps, timers and the way back, as functions of values."""

from dataclasses import asdict, fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.policy import BOUNDS, Policy, diff, validate
from gateway.core.policy_change import (
    AGO_US_MAX,
    Timer,
    Unknown,
    closing_violation,
    is_confirmed,
    next_timer,
    severe,
    walk_back,
    with_fields,
)
from gateway.core.snapshot import Phase

LATER = "2020-04-20T16:00:00+07:00"
BASE = Policy(rate_per_s=100, burst=10, form_cap=1_000, quota=500)


def steps(
    phase: Phase | None = Phase.OPEN, shown_per_s: float | None = None, **wanted: Any
) -> list[str]:
    policy = validate(wanted, BASE)
    assert isinstance(policy, Policy)
    return [step.name for step in severe(diff(BASE, policy), phase, shown_per_s)]


@pytest.mark.parametrize(
    ("rate", "is_severe"),
    [(150, False), (150.001, True), (50, False), (49.999, True), (100, False)],
)
def test_a_step_of_more_than_half_up_or_down_is_severe(rate: float, is_severe: bool) -> None:
    assert steps(rate_per_s=rate) == (["rate_per_s"] if is_severe else [])


def test_the_quota_of_a_wave_that_runs_is_severe_however_small_the_step() -> None:
    assert steps(quota=501) == ["quota"]
    for phase in (Phase.SCHEDULED, Phase.CLOSED, Phase.RECOVERING, None):
        assert steps(phase, quota=5_000, rate_per_s=1_000) == []


def test_more_than_a_fifth_above_what_the_store_has_shown_is_severe() -> None:
    assert steps(shown_per_s=100, rate_per_s=120) == []
    assert steps(shown_per_s=100, rate_per_s=120.001) == ["rate_per_s"]


def test_texts_switches_and_what_follows_the_rate_are_never_severe() -> None:
    assert steps(burst=100, floor_per_s=99.0, message="x", paused=True, autopilot="auto") == []


def test_every_number_is_either_severe_or_follows_the_rate() -> None:
    for name in (n for n, bound in BOUNDS.items() if bound.kind in (int, float)):
        step = severe({name: (10, 100)}, Phase.OPEN, None)
        assert bool(step) is (name not in {"burst", "floor_per_s"}), name


def test_what_is_repeated_must_be_the_value() -> None:
    (step,) = severe({"rate_per_s": (10.0, 600.0)}, Phase.OPEN, None)
    for repeated in ("600", "600.0", "7,600", " 600 "):
        assert is_confirmed(step, repeated)
    for repeated in ("", "60", "6000", "yes", "nan", "600x"):
        assert not is_confirmed(step, repeated)


def test_another_closing_is_confirmed_by_the_name_of_the_wave_even_before_anybody_is_there() -> (
    None
):
    for phase in Phase:
        steps = severe({"closes_at": ("", LATER)}, phase, None, wave_id="wave-1")
        assert [(step.name, step.value) for step in steps] == [("closes_at", "wave-1")]
        for repeated in ("wave-1", "7, wave-1 "):
            assert is_confirmed(steps[0], repeated)
        for repeated in ("", "wave", "wave-11", "nan"):
            assert not is_confirmed(steps[0], repeated)


@pytest.mark.parametrize(
    ("now_us", "after_us", "phase", "for_s", "told"),
    [
        (99, 200, Phase.OPEN, None, None),
        (99, 99, Phase.OPEN, None, None),
        (99, 50, Phase.PREQUEUE, None, None),  # earlier than it was to be
        (100, 200, Phase.OPEN, None, "the wave has closed"),  # no tick has seen it yet
        (99, 200, Phase.CLOSED, None, "the wave has closed"),  # the clock was set back
        (99, 200, Phase.OPEN, 60, "is for good"),
        (99, 99 - AGO_US_MAX, Phase.OPEN, None, None),
        (99, 98 - AGO_US_MAX, Phase.OPEN, None, "lies in the past"),
    ],
)
def test_a_closing_is_moved_until_it_has_come_and_never_back_by_itself(
    now_us: int, after_us: int, phase: Phase, for_s: int | None, told: str | None
) -> None:
    found = closing_violation(100, after_us, phase, now_us=now_us, for_s=for_s)
    assert found is None if told is None else found is not None and told in found.detail


texts = st.text(st.characters(categories=["L", "N"]), max_size=20)
policies = st.builds(
    Policy,
    rate_per_s=st.integers(1, 10**6).map(lambda milli: milli / 1_000),
    burst=st.just(1),
    form_cap=st.integers(1, 10**6),
    quota=st.integers(0, 10**6),
    paused=st.booleans(),
    message=texts,
)


@given(policies, st.lists(policies, min_size=1, max_size=6), st.data())
def test_the_way_back_leads_to_exactly_what_was(
    first: Policy, later: list[Policy], data: st.DataObject
) -> None:
    history = [first, *later]
    records = [
        (revision, {name: old for name, (old, _) in diff(before, after).items()})
        for revision, (before, after) in enumerate(zip(history, later, strict=False), 2)
    ]
    to = data.draw(st.integers(1, len(history) - 1))
    assert walk_back(history[-1], records[::-1], to) == history[to - 1]


def test_a_gap_in_the_records_is_told_and_not_guessed_over() -> None:
    assert walk_back(BASE, [(5, {"quota": 1}), (3, {"quota": 2})], 2) == Unknown(4)
    assert walk_back(BASE, [(5, {"quota": 1})], 2) == Unknown(4)
    assert walk_back(BASE, [], 2) == Unknown(3)


@given(policies, policies)
def test_whatever_goes_back_makes_a_valid_policy(held: Policy, before: Policy) -> None:
    for names in (["rate_per_s"], ["burst"], [each.name for each in fields(Policy)]):
        kept = replace(held, burst=max(1, int(held.rate_per_s)), floor_per_s=held.rate_per_s)
        made = with_fields(kept, {name: getattr(before, name) for name in names})
        assert isinstance(validate(asdict(made), made), Policy)


def test_a_timer_keeps_what_the_first_change_would_have_gone_back_to() -> None:
    first = next_timer(None, {"quota": (1, 2)}, until_us=10, who="a")
    assert first == Timer(10, {"quota": 1}, "a")
    second = next_timer(first, {"quota": (2, 3), "burst": (4, 5)}, until_us=20, who="b")
    assert second == Timer(20, {"quota": 1, "burst": 4}, "b")
    third = next_timer(second, {"quota": (3, 9)}, until_us=None, who="c")
    assert third == Timer(20, {"burst": 4}, "b")
    assert next_timer(third, {"burst": (5, 6)}, until_us=None, who="c") is None
    assert next_timer(None, {"burst": (5, 6)}, until_us=None, who="c") is None
