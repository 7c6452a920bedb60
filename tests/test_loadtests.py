"""The crowd and its verdict: applicants do as they are told, and every broken promise turns it red."""

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from gateway.core.form import Choice, Field, Kind, canonical_json, check, json_schema
from gateway.core.nik import is_nik
from gateway.ports import IntakeEntry
from gateway.programmes import load_programmes
from gateway.stores.sqlite import SqliteStore
from loadtests import run, system
from loadtests.applicants import Person, fill, make_person, nik_of, spoil
from loadtests.conduct import Applicant, Outcome
from loadtests.evidence import Evidence, Held, Issued, Row, Terms
from loadtests.journal import Journal, Tally, read_events, read_tally, spread, write_tally
from loadtests.profiles import PROFILES, Habit
from loadtests.remains import gather, read_store
from loadtests.report import page
from loadtests.steps import Answer, Ask, Step, Wait
from loadtests.verdict import broken, exit_code, findings
from loadtests.windows import burst_needed, most_within, typical_within

SMOKE = PROFILES["smoke"]
SEED = random.randrange(10**6)
KINDS: tuple[Kind, ...] = ("nik", "digits", "text", "birth-date", "phone", "email", "choice")
TEXTS = {"id": "x", "en": "x"}


@pytest.fixture(autouse=True)
def _print_the_seed() -> None:
    print(f"seed {SEED}")  # noqa: T201  shown when a test fails


def field_of(kind: Kind, dice: random.Random) -> Field:
    least = dice.randrange(1, 20) if kind in ("digits", "text") else 0
    most = least + dice.randrange(0, 30) if least else 0
    choices = tuple(Choice(f"c{n}", TEXTS) for n in range(dice.randint(1, 4)))
    required = kind == "nik" or dice.random() < 0.5
    label = {"id": f"{kind}?", "en": f"{kind}?"}
    return Field(
        kind, kind, required, label, TEXTS, least, most, choices if kind == "choice" else ()
    )


# --- who they are --------------------------------------------------------------------------------------


def test_the_same_seed_is_the_same_crowd() -> None:
    crowd = [make_person(SMOKE, SEED, n) for n in range(50)]
    assert crowd == [make_person(SMOKE, SEED, n) for n in range(50)]
    assert crowd != [make_person(SMOKE, SEED + 1, n) for n in range(50)]


def test_every_person_has_a_well_formed_nik_of_its_own() -> None:
    ids = [*range(3_000), *random.Random(SEED).sample(range(9_000_000), 3_000)]
    niks = {n: nik_of(make_person(SMOKE, SEED, n)) for n in ids}
    assert all(is_nik(nik) for nik in niks.values())
    assert len(set(niks.values())) == len(niks)


def test_a_filled_form_is_accepted_as_it_stands_and_one_with_a_mistake_is_refused() -> None:
    dice = random.Random(SEED)
    for n in range(300):
        fields = [field_of(kind, dice) for kind in KINDS]
        person = make_person(SMOKE, SEED, n)
        schema = json_schema(fields, "id")
        values = fill(schema, person)
        assert check(fields, values) == values, (
            "what is recorded can be compared with what was sent"
        )
        assert isinstance(check(fields, spoil(schema, values, person)), tuple)


def test_the_forms_of_all_our_programmes_can_be_filled_in(tmp_path: Path) -> None:
    own = tmp_path / "programme.toml"
    own.write_text(system.programme(Terms(10, 5.0, 1, 10), opens_s=8.0))
    files = sorted(str(path) for path in Path("config/programmes").glob("*.toml"))
    for programme in load_programmes((*files, str(own))):
        for n in range(20):
            values = fill(json_schema(programme.fields, "en"), make_person(SMOKE, SEED, n))
            assert check(programme.fields, values) == values


def test_people_come_as_the_profile_says() -> None:
    crowd = [make_person(SMOKE, SEED, n) for n in range(20_000)]
    assert all(-SMOKE.early_s <= each.arrives_s <= SMOKE.late_s for each in crowd)
    early = [each.arrives_s for each in crowd if each.arrives_s < 0]
    assert len(early) / len(crowd) == pytest.approx(SMOKE.early_share, abs=0.02)
    doubled = sum(arrives_s > -SMOKE.doubling_s for arrives_s in early)
    before = sum(-2 * SMOKE.doubling_s < arrives_s <= -SMOKE.doubling_s for arrives_s in early)
    assert doubled / before == pytest.approx(2.0, abs=0.25)
    for habit, share in SMOKE.shares.items():
        having = sum(each.habit is habit for each in crowd)
        assert having / len(crowd) == pytest.approx(share, abs=0.02)


# --- what they do --------------------------------------------------------------------------------------

FORM = json_schema([field_of("nik", random.Random(1)), field_of("email", random.Random(1))], "id")
BOARD = {"poll_s": 10.0, "approach_per_s": 2.0, "near": 0, "stretch": 1.0, "phase": "open"}
WAITING = {"state": "waiting", "poll_s": 2.0, "position": 9}
CALLED = {"state": "called", "poll_s": 1.0, "position": 9}
PASS = {"pass": "p", "expires_at": "2026-11-24T21:00:00.000+07:00"}


@dataclass
class Told:
    """A gateway that answers each request by its name: in turn, the last one for ever."""

    answers: dict[str, list[Answer]] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    notes: list[Mapping[str, Any]] = field(default_factory=list)
    now_s: float = 1_000.0

    def lead(self, person: Person) -> Outcome:
        """Lead one applicant to its end, without a clock."""
        way = Applicant(person, "w-1", self.notes.append).live()
        answer = None
        try:
            while len(self.steps) < 200:
                step = next(way) if answer is None else way.send(answer)
                self.steps.append(step)
                answer = self.answer(step) if isinstance(step, Ask) else self.wait(step)
        except StopIteration as end:
            outcome: Outcome = end.value
            return outcome
        raise AssertionError("the applicant goes round in circles")

    def wait(self, step: Wait) -> Answer:
        self.now_s += step.seconds
        return Answer(0)

    def answer(self, ask: Ask) -> Answer:
        queue = self.answers.get(ask.name) or [USUAL[ask.name]]
        answer = queue.pop(0) if len(queue) > 1 else queue[0]
        asked_s, self.now_s = self.now_s, self.now_s + 0.01
        return replace(answer, asked_s=asked_s, answered_s=self.now_s)

    def asks(self, *names: str) -> list[Ask]:
        asks = [step for step in self.steps if isinstance(step, Ask)]
        return [ask for ask in asks if not names or ask.name in names]

    def waits_after(self, name: str) -> list[float]:
        """Return how long it waited right after each request of this name."""
        return [
            step.seconds
            for before, step in zip(self.steps, self.steps[1:], strict=False)
            if isinstance(step, Wait) and isinstance(before, Ask) and before.name == name
        ]

    def told(self, event: str) -> list[Mapping[str, Any]]:
        return [note for note in self.notes if note["event"] == event]


USUAL = {
    "page": Answer(200),
    "board": Answer(200, BOARD),
    "join": Answer(201, {"ticket": "t", "number": 9, "poll_s": 2.0}),
    "place": Answer(200, CALLED),
    "leave": Answer(204),
    "claim": Answer(201, PASS),
    "form": Answer(200, FORM),
    "submit": Answer(201, {"receipt": "R", "state": "received"}),
    "receipt": Answer(200, {"state": "recorded"}),
}
SHED = Answer(503, {"retry_in_ms": 3_000}, retry_s=3.0)


def person_with(habit: Habit, **changes: Any) -> Person:
    return replace(make_person(SMOKE, SEED, 7), habit=habit, **changes)


PATIENT = person_with(Habit.PATIENT)


def test_a_patient_applicant_goes_the_whole_way() -> None:
    told = Told({"place": [Answer(200, WAITING), Answer(200, CALLED)]})
    assert told.lead(PATIENT) is Outcome.RECORDED
    names = [ask.name for ask in told.asks()]
    way = ["page", "board", "join", "place", "place", "claim", "form", "submit", "receipt"]
    assert names == way
    assert told.told("receipt") == [
        {"event": "receipt", "person": 7, "receipt": "R", "form": fill(FORM, PATIENT)}
    ]
    assert told.told("end") == [{"event": "end", "person": 7, "outcome": "recorded"}]


def test_it_asks_as_often_as_told() -> None:
    places = [Answer(200, WAITING | {"poll_s": s}) for s in (2.0, 4.0, 1.0)]
    told = Told({"place": [*places, Answer(200, CALLED)]})
    told.lead(PATIENT)
    for waited_s, told_s in zip(told.waits_after("place"), (2.0, 4.0, 1.0), strict=True):
        assert 0.85 * told_s <= waited_s <= 1.15 * told_s


def test_far_from_the_front_it_looks_at_the_board_alone() -> None:
    far = Answer(200, {"state": "waiting", "poll_s": 8.0, "position": 100})
    boards = [Answer(200, BOARD | {"near": near}) for near in (0, 0, 40, 100, 101)]
    told = Told({"place": [far, Answer(200, CALLED)], "board": boards})
    told.lead(PATIENT)
    between = [ask.name for ask in told.asks("board", "place")]
    assert between == ["board", "place", "board", "board", "board", "board", "place"]


def test_a_claim_that_comes_too_early_is_repeated_no_sooner_than_told() -> None:
    early = Answer(202, {"state": "called", "retry_in_ms": 700})
    told = Told({"claim": [early, early, USUAL["claim"]]})
    assert told.lead(PATIENT) is Outcome.RECORDED
    assert len(told.waits_after("claim")) == 2
    assert all(0.7 <= waited_s <= 0.7 * 1.15 for waited_s in told.waits_after("claim"))
    [seen] = told.told("pass")
    assert seen["answered_s"] - seen["asked_s"] == pytest.approx(0.01), "the last claim's instants"


@pytest.mark.parametrize("name", ["join", "place", "claim", "form", "submit", "receipt"])
def test_a_shed_request_is_repeated_after_its_time_and_is_no_failure(name: str) -> None:
    told = Told({name: [SHED, SHED, USUAL[name]]})
    assert told.lead(PATIENT) is Outcome.RECORDED
    assert told.told("surprise") == []
    assert all(waited_s >= 3.0 for waited_s in told.waits_after(name)[:2])
    assert len({json.dumps(ask.form) for ask in told.asks(name)}) == 1, "the same again"


def test_a_pass_whose_first_answer_was_lost_may_have_been_issued_since_the_first_try() -> None:
    told = Told({"claim": [Answer(0), Answer(200, PASS)]})
    told.lead(PATIENT)
    [seen] = told.told("pass")
    assert seen["answered_s"] - seen["asked_s"] > 2.0


def test_an_answer_that_nobody_should_get_ends_the_way_and_is_told() -> None:
    kind = {"type": "https://x/problems/overloaded"}
    told = Told({"place": [Answer(503, kind)]})
    assert told.lead(PATIENT) is Outcome.FAILED, "a 503 without Retry-After is no shedding"
    [surprise] = told.told("surprise")
    assert (surprise["name"], surprise["status"]) == ("place", 503)
    assert surprise["what"].endswith("overloaded")


def test_silence_is_told_repeated_and_at_last_given_up() -> None:
    told = Told({"form": [Answer(0), USUAL["form"]]})
    assert told.lead(PATIENT) is Outcome.RECORDED
    assert len(told.told("surprise")) == 1
    told = Told({"form": [Answer(0)]})
    assert told.lead(PATIENT) is Outcome.FAILED
    assert len(told.asks("form")) == 6


def test_a_reloader_keeps_its_ticket() -> None:
    waiting = Answer(200, WAITING)
    again = Answer(200, USUAL["join"].document)
    answers = {"place": [waiting, waiting, USUAL["place"]], "join": [USUAL["join"], again]}
    told = Told(dict(answers))
    assert told.lead(person_with(Habit.RELOADER)) is Outcome.RECORDED
    assert [len(told.asks(name)) for name in ("page", "join")] == [3, 3]
    other = Answer(200, {"ticket": "another", "number": 10, "poll_s": 2.0})
    told = Told({"place": [waiting], "join": [USUAL["join"], other]})
    assert told.lead(person_with(Habit.RELOADER)) is Outcome.FAILED


def test_a_double_press_sends_the_same_form_twice() -> None:
    told = Told()
    assert told.lead(person_with(Habit.DOUBLE)) is Outcome.RECORDED
    first, second = told.asks("submit")
    assert first.form == second.form
    assert len(told.told("receipt")) == 2


def test_a_mistake_is_refused_and_put_right() -> None:
    told = Told({"submit": [Answer(422), USUAL["submit"]]})
    person = person_with(Habit.MISTAKEN)
    assert told.lead(person) is Outcome.RECORDED
    wrong, right = told.asks("submit")
    assert wrong.form != right.form == fill(FORM, person)
    assert Told().lead(person) is Outcome.FAILED, "a wrong form must not be accepted"


@pytest.mark.parametrize("silently", [True, False])
def test_a_leaver_leaves_before_its_turn(silently: bool) -> None:
    person = person_with(Habit.LEAVER, patience=2, leaves_silently=silently)
    told = Told({"place": [Answer(200, WAITING)]})
    assert told.lead(person) is Outcome.LEFT
    assert len(told.asks("place")) == 2
    assert [ask.method for ask in told.asks("leave")] == ([] if silently else ["DELETE"])
    assert Told().lead(person) is Outcome.LEFT, "also when it is called sooner"


@pytest.mark.parametrize(
    "answers",
    [
        {"join": [Answer(409)]},
        {"place": [Answer(200, {"state": "full", "poll_s": 60.0, "position": 9})]},
        {"claim": [Answer(202, {"state": "closed", "retry_in_ms": 1_000})]},
    ],
)
def test_who_finds_the_wave_full_or_closed_is_turned_away(
    answers: dict[str, list[Answer]],
) -> None:
    assert Told(answers).lead(PATIENT) is Outcome.TURNED_AWAY


def test_a_receipt_is_looked_at_until_it_is_recorded() -> None:
    received = Answer(200, {"state": "received"})
    told = Told({"receipt": [received, received, USUAL["receipt"]]})
    assert told.lead(PATIENT) is Outcome.RECORDED
    assert len(told.asks("receipt")) == 3
    rejected = Told({"receipt": [Answer(200, {"state": "rejected"})]})
    assert rejected.lead(PATIENT) is Outcome.FAILED


# --- what the verdict says -----------------------------------------------------------------------------

SECOND_US = 1_000_000
TERMS = Terms(people=100, rate_per_s=10.0, burst=2, quota=95)


def form_of(n: int) -> Mapping[str, str]:
    return {"nik": f"{n:016}"}


def a_clean_run() -> Evidence:
    """A hundred people: ninety are recorded, five sent twice, ten left; admitted at the full rate."""
    held = [Held(n, f"R{n}", form_of(n)) for n in range(90)]
    instants_us = [max(0, n - 1) * SECOND_US // 10 for n in range(90)]
    return Evidence(
        terms=TERMS,
        held=[*held, *held[:5]],
        passes=[Issued(n, at, at - 5_000, at + 5_000) for n, at in enumerate(instants_us)],
        rows=[Row(f"R{n}", bytes([n]), form_of(n)) for n in range(90)],
        outcomes={"recorded": 90, "left": 10},
        surprises=[],
        answers={"place": {"200": 400, "shed": 3}, "submit": {"201": 95, "422": 4}},
        lag_p99_ms=12.0,
        admitted=90,
        stop_code=0,
    )


def with_pass(evidence: Evidence, index: int, **changes: int) -> Sequence[Issued]:
    passes = list(evidence.passes)
    passes[index] = replace(passes[index], **changes)
    return passes


def too_early(evidence: Evidence) -> Evidence:
    """The fifth pass was issued with the fourth: three at once, of a burst of two."""
    at_us = evidence.passes[3].issued_at_us
    passes = with_pass(evidence, 4, issued_at_us=at_us, asked_at_us=at_us - 5, answered_at_us=at_us)
    return replace(evidence, passes=passes)


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
    "somebody turned away from an open wave": (
        "turned away",
        lambda e: replace(e, outcomes={"recorded": 90, "left": 9, "turned-away": 1}),
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


def test_a_clean_run_is_green() -> None:
    assert broken(a_clean_run()) == []
    assert exit_code(a_clean_run()) == 0


@pytest.mark.parametrize("bug", SEEDED_BUGS)
def test_every_seeded_bug_turns_the_verdict_red(bug: str) -> None:
    promise, spoilt = SEEDED_BUGS[bug]
    evidence = spoilt(a_clean_run())
    assert exit_code(evidence) == 1
    assert [promise in each.promise for each in findings(evidence) if not each.kept] == [True]


def test_a_slow_generator_makes_the_run_void_but_excuses_no_broken_promise() -> None:
    limited = replace(a_clean_run(), lag_p99_ms=251.0)
    assert exit_code(limited) == 2
    assert exit_code(replace(limited, outcomes={"recorded": 90})) == 2, "late people prove nothing"
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


def test_the_last_line_of_the_page_gives_the_reason() -> None:
    tally = Tally()
    tally.count("place", "200", 0.002)
    document = tally.document(began_s=0.0, ended_s=10.0)
    clean = a_clean_run()
    pages = [
        page(evidence, document, seed=3).splitlines()
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


# --- what a run leaves behind --------------------------------------------------------------------------


async def test_the_rows_of_the_real_store_are_read_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "registrations.db"
    assert read_store(path, "w-1") == []
    store = SqliteStore(path, now_us=lambda: 7)
    entries = [
        IntakeEntry(f"{n}-0", wave, "p", f"R{n}", bytes([n]) * 32, canonical_json(form_of(n)), n)
        for n, wave in enumerate(("w-1", "w-2", "w-1"))
    ]
    await store.put(entries)
    expected = [Row(f"R{n}", bytes([n]) * 32, form_of(n)) for n in (0, 2)]
    assert read_store(path, "w-1") == expected
    await store.close()


def test_the_journal_of_an_applicant_becomes_evidence(tmp_path: Path) -> None:
    told = Told()
    told.lead(person_with(Habit.DOUBLE))
    journal = Journal(tmp_path)
    for note in [
        *told.notes,
        {"event": "surprise", "person": 1, "name": "x", "status": 404, "what": "y"},
    ]:
        journal.note(note)
    journal.close()
    with (tmp_path / "events.jsonl").open("a") as file:
        file.write('{"event": "end", "per')  # cut off
    tally = Tally()
    tally.late(0.3)
    evidence = gather(
        TERMS,
        tmp_path,
        tally.document(began_s=0.0, ended_s=1.0),
        [],
        pass_ttl_s=3_600,
        admitted=1,
        stop_code=0,
    )
    assert [(held.person, held.receipt) for held in evidence.held] == [(7, "R"), (7, "R")]
    assert evidence.outcomes == {"recorded": 1}
    assert evidence.surprises == ["x: 404 y"]
    assert evidence.lag_p99_ms == 300.0
    [issued] = evidence.passes
    assert issued.issued_at_us == 1_795_528_800 * SECOND_US - 3_600 * SECOND_US
    assert issued.answered_at_us - issued.asked_at_us == pytest.approx(10_000, abs=2)


def test_a_tally_says_that_the_generator_came_to_its_end(tmp_path: Path) -> None:
    assert read_tally(tmp_path) is None
    assert list(read_events(tmp_path)) == []
    tally = Tally()
    tally.count("join", "201", 0.5)
    tally.count("join", "shed", 0.1)
    write_tally(tmp_path, tally.document(began_s=1.0, ended_s=2.0))
    document = read_tally(tmp_path)
    assert document is not None
    assert document["answers"] == {"join": {"201": 1, "shed": 1}}
    assert document["lags_ms"] == [0.0, 0.0, 0.0]
    assert spread(range(101)) == [50, 99, 100]


# --- the whole road ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        ["--people", "0"],
        ["--rate", "0.5"],
        ["--people", "2000", "--rate", "20"],  # would need 122 seconds
        ["--people", "many"],
        ["--profile", "huge"],
        ["--bots"],
    ],
)
def test_wrong_usage_is_told_before_anything_is_started(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        run.main(arguments)
    assert ended.value.code == 2
    assert "error:" in capsys.readouterr().err


@pytest.mark.timeout(120)
def test_a_small_crowd_against_a_real_gateway_is_green(tmp_path: Path) -> None:
    answer = subprocess.run(
        [sys.executable, "-m", "loadtests", "--profile", "tiny", "--seed", str(SEED)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "TMPDIR": str(tmp_path), "GATEWAY_PUBLIC_PORT": "not for this one"},
    )
    if answer.returncode == 2 and "generator limited" in answer.stdout:
        pytest.skip("this machine is too busy to be a crowd")
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert "GREEN" in answer.stdout
    assert list(tmp_path.iterdir()) == [], "nothing is left behind"
