"""What a run leaves behind is read as it was written."""

import json
import random
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from gateway.core.form import canonical_json
from gateway.ports import IntakeEntry
from gateway.stores.postgres import PostgresStore
from gateway.stores.sqlite import SqliteStore
from loadtests.evidence import Row
from loadtests.histogram import Histogram
from loadtests.journal import Journal, Tally, Totals, read_events, read_totals, write_tally
from loadtests.remains import gather
from loadtests.stores import store_of
from tests.loadtests.test_verdict import MORE, SECOND_US, TERMS, form_of
from tests.loadtests.told import SEED, Told, person_with


def entries() -> list[IntakeEntry]:
    return [
        IntakeEntry(f"{n}-0", wave, "p", f"R{n}", bytes([n]) * 32, canonical_json(form_of(n)), n)
        for n, wave in enumerate(("w-1", "w-2", "w-1"))
    ]


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_the_rows_of_the_real_store_are_read_as_they_are_though_somebody_holds_it(
    tmp_path: Path, kind: str
) -> None:
    with store_of(kind, tmp_path) as kept:
        path = tmp_path / "registrations.db"
        store = (
            SqliteStore(path, now_us=lambda: 7)
            if kind == "sqlite"
            else PostgresStore(kept.url, now_us=lambda: 7, deadline_s=5.0)
        )
        await store.put(entries())
        await store.close()
        found: list[Row] = []

        def look() -> None:  # a thread: its event loop is not the test's
            with kept.held():
                found.extend(kept.rows("w-1"))

        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
    assert found == [Row(f"R{n}", bytes([n]) * 32, form_of(n), 7) for n in (0, 2)]


def test_a_file_that_is_held_takes_no_row_until_it_is_let_go(tmp_path: Path) -> None:
    with store_of("sqlite", tmp_path) as kept:
        assert kept.rows("w-1") == []
        path = tmp_path / "registrations.db"
        with closing(sqlite3.connect(path, timeout=0)) as db:
            db.execute("CREATE TABLE t (x)")
            with kept.held(), pytest.raises(sqlite3.OperationalError, match="locked"):
                db.execute("INSERT INTO t VALUES (1)")
            db.execute("INSERT INTO t VALUES (1)")


def test_the_journal_of_an_applicant_becomes_evidence(tmp_path: Path) -> None:
    told = Told()
    told.lead(person_with(sends_twice=True))
    journal = Journal(tmp_path)
    odd = {"person": 1, "name": "x", "status": 404, "what": "y"}
    for note in [*told.notes, {"event": "surprise", **odd}, {"event": "silence", **odd}]:
        journal.note(note)
    journal.close()
    with (tmp_path / "events-0.jsonl").open("a") as file:
        file.write('{"event": "end", "per')  # cut off
    tally = Tally()
    tally.lags.add(300.0)
    totals = Totals([tally.document(lives=2, began_s=0.0, ended_s=1.0)])
    evidence = gather(TERMS, tmp_path, totals, [], **MORE)
    assert [(held.person, held.receipt) for held in evidence.held] == [(7, "R"), (7, "R")]
    assert evidence.outcomes == {"recorded": 1}
    assert evidence.lives == 2
    assert evidence.surprises == ["x: 404 y"]
    assert evidence.silences == {"x": 1}
    assert evidence.positions == {9: 9}
    assert [joined.number for joined in evidence.joins] == [9]
    assert evidence.lag_p99_ms == pytest.approx(300.0, rel=0.01)
    [issued] = evidence.passes
    assert issued.issued_at_us == 2_111_148_000 * SECOND_US - TERMS.pass_ttl_s * SECOND_US
    assert issued.answered_at_us - issued.asked_at_us == pytest.approx(10_000, abs=2)
    assert issued.called_at_us <= issued.answered_at_us


def test_a_pass_that_is_shown_again_is_one_pass(tmp_path: Path) -> None:
    told = Told()
    told.lead(person_with("bot"))
    journal = Journal(tmp_path)
    for note in [*told.notes, *told.notes]:
        journal.note(note)
    journal.close()
    totals = Totals([Tally().document(lives=1, began_s=0.0, ended_s=1.0)])
    assert len(gather(TERMS, tmp_path, totals, [], **MORE).passes) == 1


def test_the_tallies_of_all_processes_are_one(tmp_path: Path) -> None:
    assert read_totals(tmp_path) is None
    assert list(read_events(tmp_path)) == []
    for index in range(2):
        tally = Tally()
        tally.arrived(-0.5)
        tally.count("patient", "join", "201", -0.5, 10.0 + index)
        tally.count("bot", "join", "shed", 0.5, 1.0)
        tally.count("bot", "place", "0", 0.5, 1.0)
        document = tally.document(lives=3, waiting=1, began_s=1.0 + index, ended_s=9.0)
        write_tally(tmp_path, document, index)
    assert read_totals(tmp_path, 3) is None, "one has not come to its end"
    totals = read_totals(tmp_path, 2)
    assert totals is not None
    assert (totals.lives, totals.waiting) == (6, 2)
    assert (totals.began_s, totals.ended_s) == (1.0, 9.0)
    assert totals.requests == 4, "sent and answered"
    assert totals.words(name="join") == {"201": 2, "shed": 2}
    assert totals.words(habit="bot") == {"shed": 2, "0": 2}
    assert totals.times(habit="patient", name="join").spread_ms() == pytest.approx(
        [10.0, 11.0, 11.0], rel=0.01
    )
    assert totals.seconds[-1] == {"arrivals": 2, "requests": 2}
    assert totals.seconds[0] == {"requests": 4, "shed": 2, "0": 2}
    assert totals.seconds_ms[0].count == 4


def test_a_histogram_is_as_exact_as_its_classes_and_adds_up() -> None:
    dice = random.Random(SEED)
    values = [dice.lognormvariate(1.0, 1.5) for _ in range(5_000)]
    halves = [Histogram(), Histogram()]
    for index, value in enumerate(values):
        halves[index % 2].add(value)
    whole = Histogram.sum(json.loads(json.dumps(each.document())) for each in halves)
    assert whole.count == len(values)
    assert whole.most_ms == max(values)
    for share in (0.01, 0.5, 0.9, 0.99, 1.0):
        exact = sorted(values)[max(0, round(share * len(values)) - 1)]
        assert whole.quantile_ms(share) == pytest.approx(exact, rel=0.021)
    assert Histogram().spread_ms() == [0.0, 0.0, 0.0]
    zero = Histogram()
    zero.add(0.0)
    assert zero.spread_ms() == [0.0, 0.0, 0.0]
