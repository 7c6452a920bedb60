"""Every broken promise turns the verdict red."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from loadtests.evidence import Evidence, Held, Issued, Joined, Row, Terms
from loadtests.histogram import Histogram
from loadtests.journal import Tally, Totals
from loadtests.pace import looks_quick
from loadtests.report import Seen, page
from loadtests.verdict import broken, exit_code, findings
from loadtests.windows import burst_needed, most_within, typical_within
from tests.loadtests.told import DRAW, SEED, SMOKE

SECOND_US = 1_000_000
TERMS = Terms(people=100, rate_per_s=10.0, burst=2, quota=95, store_per_s=30)
MORE: Mapping[str, Any] = {
    "draw": DRAW, "draw_verified": True, "admitted": 90, "stop_code": 0,
}  # fmt: skip


def form_of(n: int) -> Mapping[str, str]:
    return {"nik": f"{n:016}"}


def looks_of(*took_ms: float) -> Histogram:
    histogram = Histogram()
    for each in took_ms:
        histogram.add(each)
    return histogram


def a_clean_run() -> Evidence:
    """A hundred people: ninety are recorded, five sent twice, ten left; admitted at the full rate."""
    held = [Held(n, f"R{n}", form_of(n)) for n in range(90)]
    instants_us = [SECOND_US + max(0, n - 1) * SECOND_US // 10 for n in range(90)]
    return Evidence(
        terms=TERMS,
        lives=103,
        waiting=3,
        held=[*held, *held[:5]],
        passes=[_pass(position, at_us) for position, at_us in enumerate(instants_us)],
        joins=[Joined(n, n * 1_000, n * 1_000 + 1_500) for n in range(100)],
        positions={n: DRAW.position(n) for n in range(100)},
        rows=[Row(f"R{n}", bytes([n]), form_of(n), at) for n, at in enumerate(instants_us)],
        outcomes={"recorded": 90, "left": 10},
        surprises=[],
        silences={},
        answers={"place": {"200": 400, "shed": 3}, "submit": {"201": 95, "422": 4}},
        requests=502,
        lag_p99_ms=12.0,
        looks_ms={at_s: looks_of(*[5.0] * 100) for at_s in range(4)},
        **MORE,
    )


def _pass(position: int, at_us: int) -> Issued:
    told_us = at_us - SECOND_US, at_us + SECOND_US
    return Issued(
        DRAW.number(position), at_us, at_us - 5_000, at_us + 5_000, at_us - 9_000, told_us
    )


def with_pass(evidence: Evidence, index: int, **changes: Any) -> Sequence[Issued]:
    passes = list(evidence.passes)
    passes[index] = replace(passes[index], **changes)
    return passes


def too_early(evidence: Evidence) -> Evidence:
    """The fifth pass was issued with the fourth: three at once, of a burst of two."""
    at_us = evidence.passes[3].issued_at_us
    passes = with_pass(evidence, 4, issued_at_us=at_us, asked_at_us=at_us - 5, answered_at_us=at_us)
    return replace(evidence, passes=passes)


def overtaken(evidence: Evidence) -> Sequence[Issued]:
    """The tenth saw that it may claim two seconds before those behind it began to be admitted."""
    at_us = evidence.passes[40].issued_at_us + 1
    changed = replace(
        evidence.passes[10], issued_at_us=at_us, asked_at_us=at_us - 5, answered_at_us=at_us + 5
    )
    return [*evidence.passes[:10], changed, *evidence.passes[11:]]


SEEDED_BUGS: dict[str, tuple[str, Callable[[Evidence], Evidence]]] = {
    "a lost receipt": ("recorded exactly once", lambda e: replace(e, rows=e.rows[1:])),
    "a row recorded twice": (
        "recorded exactly once",
        lambda e: replace(e, rows=[*e.rows, replace(e.rows[3], person=b"else")]),
    ),
    "a person recorded twice": (
        "registered twice",
        lambda e: replace(e, rows=[*e.rows[:-1], replace(e.rows[-1], person=e.rows[0].person)]),
    ),
    "two receipts for one person": (
        "registered twice",
        lambda e: replace(
            e,
            held=[*e.held, replace(e.held[0], receipt="R90")],
            rows=[*e.rows, Row("R90", bytes([90]), form_of(0))],
        ),
    ),
    "another form recorded than sent": (
        "recorded exactly once",
        lambda e: replace(e, rows=[*e.rows[:-1], replace(e.rows[-1], form=form_of(5))]),
    ),
    "a registration that nobody sent": (
        "recorded exactly once",
        lambda e: replace(e, rows=[*e.rows, Row("R91", bytes([91]), form_of(91))]),
    ),
    "one above the quota": (
        "above the quota",
        lambda e: replace(e, terms=replace(e.terms, quota=89)),
    ),
    "an admission above the rate": ("within rate and burst", too_early),
    "a rate a hundredth too high": (
        "within rate and burst",
        lambda e: replace(e, terms=replace(e.terms, rate_per_s=9.9)),
    ),
    "a pass issued before it was asked for": (
        "admission are true",
        lambda e: replace(
            e, passes=with_pass(e, 50, asked_at_us=e.passes[50].issued_at_us + 2_000)
        ),
    ),
    "a pass issued after it was answered": (
        "admission are true",
        lambda e: replace(e, passes=with_pass(e, 50, answered_at_us=e.passes[50].issued_at_us - 1)),
    ),
    "a pass that nobody saw": ("admission are true", lambda e: replace(e, admitted=91)),
    "a board that is silent at the end": (
        "admission are true",
        lambda e: replace(e, admitted=None),
    ),
    "a board that has forgotten its draw": ("draw is verified", lambda e: replace(e, draw=None)),
    "somebody told full while places are left": (
        "told full",
        lambda e: replace(e, outcomes={"recorded": 90, "left": 9, "full": 1}),
    ),
    "a number given twice": (
        "order of joining",
        lambda e: replace(e, joins=[*e.joins, replace(e.joins[50], asked_at_us=50_001)]),
    ),
    "an earlier number for a later join": (
        "order of joining",
        lambda e: replace(
            e,
            joins=[
                *e.joins[:60],
                replace(e.joins[60], number=62),
                e.joins[61],
                replace(e.joins[62], number=60),
                *e.joins[63:],
            ],
        ),
    ),
    "somebody who was called and there, and overtaken": (
        "not overtaken",
        lambda e: replace(e, passes=overtaken(e)),
    ),
    "a position that was not drawn": (
        "draw is verified",
        lambda e: replace(e, positions={**e.positions, 7: DRAW.position(8)}),
    ),
    "a latecomer who was moved": (
        "draw is verified",
        lambda e: replace(e, positions={**e.positions, 70: 69}),
    ),
    "a draw that nobody else can verify": (
        "draw is verified",
        lambda e: replace(e, draw_verified=False),
    ),
    "waits told too short": (
        "as they were told",
        lambda e: replace(
            e,
            passes=[
                replace(each, told_us=(0, each.called_at_us - 3 * SECOND_US)) if n < 10 else each
                for n, each in enumerate(e.passes)
            ],
        ),
    ),
    "pages and polls that are slow": (
        "answered quickly",
        lambda e: replace(e, looks_ms={**e.looks_ms, 2: looks_of(*[5.0] * 90, *[320.0] * 10)}),
    ),
    "a run in which nobody looked": ("answered quickly", lambda e: replace(e, looks_ms={})),
    "a store that is sent too much": (
        "above its limit",
        lambda e: replace(e, terms=replace(e.terms, store_per_s=1)),
    ),
    "a request without an answer": (
        "request is answered",
        lambda e: replace(e, silences={"join": 1}),
    ),
    "a server error": (
        "server errors",
        lambda e: replace(e, answers={"join": {"201": 99, "500": 1}}),
    ),
    "a 503 without Retry-After": (
        "server errors",
        lambda e: replace(e, answers={"join": {"201": 99, "503": 1}}),
    ),
    "an unexpected answer": (
        "unexpected answers",
        lambda e: replace(e, surprises=["claim: 410 unexpected answer place-ended"]),
    ),
    "an applicant who never came to its end": (
        "came to its end",
        lambda e: replace(e, outcomes={"recorded": 90, "left": 9}),
    ),
    "a gateway that did not drain": ("drained", lambda e: replace(e, stop_code=-9)),
}


# Without the draw nobody's order can be checked: three promises hang on it.
ALSO_RED = {"a board that has forgotten its draw": {"order", "overtaken"}}


def test_a_clean_run_is_green() -> None:
    assert broken(a_clean_run()) == []
    assert exit_code(a_clean_run()) == 0


@pytest.mark.parametrize("bug", SEEDED_BUGS)
def test_every_seeded_bug_turns_the_verdict_red(bug: str) -> None:
    promise, spoilt = SEEDED_BUGS[bug]
    evidence = spoilt(a_clean_run())
    assert exit_code(evidence) == 1
    red = [each.promise for each in findings(evidence) if not each.kept]
    assert any(promise in each for each in red)
    assert len(red) == len({promise} | ALSO_RED.get(bug, set()))


def test_a_slow_generator_makes_the_run_void_but_excuses_no_broken_promise() -> None:
    limited = replace(a_clean_run(), lag_p99_ms=251.0)
    assert exit_code(limited) == 2
    assert exit_code(replace(limited, outcomes={"recorded": 90})) == 2, "late people prove nothing"
    assert exit_code(replace(limited, passes=overtaken(limited))) == 2, "late claims neither"
    assert exit_code(replace(a_clean_run(), generator_cpu=0.97)) == 2
    assert exit_code(replace(a_clean_run(), requests_min=503)) == 2
    assert exit_code(replace(a_clean_run(), requests_min=502)) == 0
    assert exit_code(SEEDED_BUGS["a lost receipt"][1](limited)) == 1


def test_who_was_cut_off_may_have_a_pass_and_a_registration_that_it_never_saw() -> None:
    clean = a_clean_run()
    cut_off = replace(
        clean,
        lag_p99_ms=400.0,
        outcomes={"recorded": 89, "left": 10},
        rows=[*clean.rows, Row("R91", bytes([91]), form_of(91))],
        admitted=91,
    )
    assert exit_code(cut_off) == 2
    second = Row("R92", bytes([92]), form_of(92))
    assert exit_code(replace(cut_off, rows=[*cut_off.rows, second])) == 1
    assert exit_code(replace(cut_off, admitted=92)) == 1


def test_requests_without_an_answer_are_expected_where_processes_were_killed() -> None:
    silent = replace(a_clean_run(), silences={"join": 3}, troubles=["kill-door"])
    assert exit_code(silent) == 0
    unseen = Row("R91", bytes([91]), form_of(91))
    assert exit_code(replace(silent, rows=[*silent.rows, unseen])) == 0, "its answer was lost"
    assert exit_code(replace(silent, rows=[*silent.rows, *[unseen] * 2])) == 1


def test_looks_are_not_judged_around_a_kill_and_the_line_says_so() -> None:
    quick, slow = looks_of(*[5.0] * 100), looks_of(*[900.0] * 100)
    looks_ms = {**dict.fromkeys(range(-5, 60), quick), **dict.fromkeys(range(20, 35), slow)}
    assert not looks_quick(looks_ms, []).kept
    spared = looks_quick(looks_ms, [(20.6, 24.2)])
    assert spared.kept
    assert spared.detail == (
        "p99 5 ms of 5,000, limit 300 ms; 15 s around kills not judged, 898 ms with them"
    )
    assert not looks_quick({**looks_ms, 35: slow}, [(20.6, 24.2)]).kept, "that was no kill's"
    assert not looks_quick({**looks_ms, 19: slow}, [(20.6, 24.2)]).kept, "nor that"


def test_refusals_do_not_flatter_the_times_of_looks_and_processes_add_up() -> None:
    tallies = [Tally(), Tally()]
    for tally in tallies:
        tally.count("patient", "board", "200", 1.5, 40.0)
        tally.count("hammerer", "place", "throttled", 1.5, 0.2)
        tally.count("patient", "submit", "201", 1.5, 90.0)
    totals = Totals([each.document(lives=1, began_s=0.0, ended_s=9.0) for each in tallies])
    assert list(totals.looks_ms) == [1]
    assert totals.looks_ms[1].quantile_ms(0.01) == pytest.approx(40, rel=0.02)
    assert totals.looks_ms[1].count == 2


def test_the_last_line_of_the_page_gives_the_reason() -> None:
    tally = Tally()
    tally.count("patient", "place", "200", 1.0, 2.0)
    totals = Totals([tally.document(lives=100, began_s=0.0, ended_s=10.0)])
    clean = a_clean_run()
    pages = [
        page(Seen(SMOKE, evidence, totals, [], 0.0, "SQLite", [])).splitlines()
        for evidence in (
            clean,
            SEEDED_BUGS["a lost receipt"][1](clean),
            replace(clean, lag_p99_ms=400.0),
        )
    ]
    assert pages[0][-1].strip() == "GREEN: every promise was kept"
    assert (
        pages[1][-1].strip().startswith("RED: every receipt is recorded exactly once: R0 is lost")
    )
    assert pages[2][-1].strip().startswith("VOID: generator limited: p99 lag 400 ms")


def test_the_leaky_bucket_finds_the_worst_of_all_windows() -> None:
    dice = random.Random(SEED)
    for _ in range(200):
        rate_milli = dice.randint(1, 90_000)
        count = dice.randint(1, 30)
        instants_us = sorted(dice.randrange(3_000_000) for _ in range(count))
        worst = max(
            (last - first + 1)
            - rate_milli * (instants_us[last] - instants_us[first]) / (1_000 * SECOND_US)
            for first in range(count)
            for last in range(first, count)
        )
        assert burst_needed(instants_us, rate_milli / 1_000) == pytest.approx(worst)
    assert burst_needed([], 1.0) == 0


def test_windows_are_half_open() -> None:
    instants_us = [0, 10, SECOND_US - 1, SECOND_US, SECOND_US + 5]
    assert most_within(instants_us, SECOND_US) == 4
    assert most_within([], SECOND_US) == 0
    assert typical_within([0, 1, 2, SECOND_US, 3 * SECOND_US], SECOND_US) == 1
    assert typical_within([], SECOND_US) == 0
