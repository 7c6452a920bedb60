"""The system is watched, struck and reported of as it is."""

import json
import math
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.programmes import load_programmes
from loadtests import run
from loadtests.journal import Tally, Totals
from loadtests.options import LOADTEST, REHEARSAL, parse
from loadtests.order import not_overtaken
from loadtests.pace import punctuality, told_true
from loadtests.promises import within_rate
from loadtests.rehearsal.html import PAGE, write
from loadtests.rehearsal.plots import PLOTS
from loadtests.rehearsal.processes import Processes, Use
from loadtests.rehearsal.sampling import Sample, commands_per_s, usages
from loadtests.rehearsal.trouble import TROUBLES, USUAL, Maker, raised
from loadtests.report import Seen, page
from loadtests.stores import store_of
from loadtests.system import Gateway
from tests.loadtests.test_verdict import SECOND_US, TERMS, a_clean_run, overtaken
from tests.loadtests.told import DRAW, SMOKE
from tests.support import wait_for

PARENT = """
import subprocess, sys
for role in ("serve", "serve", "deliver", "else"):
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", role])
sys.stdin.read()
"""


@contextmanager
def a_family() -> Iterator[int]:
    with subprocess.Popen([sys.executable, "-c", PARENT], stdin=subprocess.PIPE) as parent:
        processes = Processes(parent.pid, None)
        wait_for(lambda: len(processes.uses()) == 3, what="all children run")
        yield parent.pid
        for name in ("serve", "serve", "deliver"):
            processes.kill(name)
        parent.kill()


def test_processes_are_found_by_what_they_were_started_as_and_measured() -> None:
    with a_family() as pid:
        uses = Processes(pid, None).uses()
        assert set(uses) == {"serve 1", "serve 2", "deliver 1"}
        assert all(use.memory_bytes > 1 << 20 for use in uses.values())


def test_who_is_killed_is_gone_and_the_others_keep_their_names() -> None:
    with a_family() as pid:
        processes = Processes(pid, None)
        processes.uses()
        assert processes.kill("serve") == "serve 1"
        wait_for(lambda: set(processes.uses()) == {"serve 2", "deliver 1"}, what="it is gone")
        assert processes.kill("valkey") is None


def sample(at_s: float, cpu_s: float, **more: Any) -> Sample:
    return Sample(at_s, {"serve 1": Use(cpu_s, 5 << 20)}, **more)


def test_usage_is_told_as_cores_and_a_process_started_again_counts_from_zero() -> None:
    cpu_s = [0.0, 0.1, *(0.1 + 0.9 * n for n in range(1, 12)), 0.0, 0.1]
    used = usages([sample(float(at), cpu) for at, cpu in enumerate(cpu_s)])["serve 1"]
    assert used.cpu_most == pytest.approx(0.9)
    assert used.cpu_mean == pytest.approx((0.1 + 11 * 0.9 + 0.1) / 14)
    assert used.memory_most_bytes == 5 << 20


def test_the_commands_of_a_server_started_again_count_from_zero_and_its_absence_is_no_rate() -> (
    None
):
    seen = [
        sample(at, 0.0, commands=count)
        for at, count in ((0, 100), (2, 300), (3, 0), (4, 50), (5, 80))
    ]
    assert list(commands_per_s(seen)) == [(2, 100.0), (4, 0.0), (5, 30.0)]


def test_troubles_strike_while_the_wave_is_open() -> None:
    assert set(USUAL) <= set(TROUBLES)
    for trouble in TROUBLES.values():
        assert 0 < trouble.at < 1
        assert math.isnan(trouble.until) or trouble.at < trouble.until < 1


def a_maker(tmp_path: Path, names: list[str], store: Any, open_s: float) -> Maker:
    gateway = Gateway(None, tmp_path, "http://127.0.0.1:1", "http://127.0.0.1:1")
    return Maker(
        names, gateway, store, Processes(None, None), opens_s=time.time(), open_s=open_s, quota=100
    )


def test_a_slow_store_is_held_most_of_the_time_and_let_go_in_the_end(tmp_path: Path) -> None:
    with (
        store_of("sqlite", tmp_path) as store,
        closing(
            sqlite3.connect(tmp_path / "registrations.db", timeout=0, isolation_level=None)
        ) as db,
    ):
        db.execute("CREATE TABLE t (x)")
        maker = a_maker(tmp_path, ["slow-store"], store, open_s=20.0)
        maker.start()

        def is_held() -> bool:
            try:
                db.execute("INSERT INTO t VALUES (1)")
            except sqlite3.OperationalError:
                return True
            return False

        wait_for(is_held, what="its lock is held")
        maker.join(20)
        assert not is_held()
    assert maker.made == ["slow-store"]
    assert len(maker.log) == 2


def test_a_trouble_that_cannot_be_made_is_not_said_to_have_been(tmp_path: Path) -> None:
    with store_of("sqlite", tmp_path) as store:
        maker = a_maker(tmp_path, ["raise-quota", "kill-door"], store, open_s=0.01)
        maker.run()
    assert maker.made == []
    assert maker.kills_s == [], "and excuses nothing"
    assert any("could not be done" in what for _, what in maker.log)


def test_a_run_that_ends_is_struck_no_more(tmp_path: Path) -> None:
    with store_of("sqlite", tmp_path) as store:
        maker = a_maker(tmp_path, ["raise-quota"], store, open_s=3_600.0)
        maker.start()
        maker.stop()
    assert not maker.is_alive()
    assert maker.log == []


def test_a_range_moves_on_by_the_time_in_which_nobody_could_be_admitted() -> None:
    clean = a_clean_run()
    late = [
        replace(
            each,
            told_at_us=each.called_at_us - 60 * SECOND_US,
            told_us=(each.called_at_us - 50 * SECOND_US, each.called_at_us - 10 * SECOND_US),
        )
        for each in clean.passes
    ]
    assert punctuality(TERMS, late, []) == (0, 0, 90)
    assert not told_true(TERMS, late).kept
    ends_us = late[0].called_at_us
    stops_us = [(ends_us - 15 * SECOND_US, ends_us - 5 * SECOND_US)]
    assert punctuality(TERMS, late, stops_us) == (0, 90, 0)
    assert punctuality(TERMS, late, [(0, 15 * SECOND_US - 45 * SECOND_US)]) == (0, 0, 90)


def test_what_a_repeated_answer_tells_after_a_stop_is_no_instant_of_issue() -> None:
    clean = a_clean_run()
    at_us = clean.passes[3].issued_at_us
    passes = [*clean.passes[:4], replace(clean.passes[4], issued_at_us=at_us, is_first=False)]
    assert not within_rate(TERMS, passes).kept
    assert within_rate(TERMS, passes, [(0, 1)]).kept


def test_who_is_called_when_many_have_piled_up_may_be_served_after_so_many_more() -> None:
    clean = a_clean_run()
    passes = overtaken(clean)
    assert not not_overtaken(TERMS, passes, DRAW).kept
    called_us = passes[10].called_at_us
    stop_us = (called_us - 3 * SECOND_US, called_us - 2 * SECOND_US)
    assert not not_overtaken(TERMS, passes, DRAW, [stop_us]).kept, "they are gone by then"
    stop_us = (called_us - 3 * SECOND_US, called_us - SECOND_US)
    assert not_overtaken(TERMS, passes, DRAW, [stop_us]).kept


def a_seen_run() -> Seen:
    tally = Tally()
    for at_s in (-1.0, 0.5, 3.5):
        tally.arrived(at_s)
        tally.count("patient", "place", "200", at_s, 2.0)
        tally.count("bot", "place", "throttled", at_s, 1.0)
    totals = Totals([tally.document(lives=100, began_s=0.0, ended_s=10.0)])
    board = {"issued": 5, "called": 3, "quota": 95, "places_left": 90}
    samples = [
        sample(float(at), at / 10, board=board, commands=100 * at, redis_bytes=1 << 20,
               metrics={"gateway_intake_entries": 2.0})
        for at in range(1, 9)
    ]  # fmt: skip
    evidence = replace(a_clean_run(), troubles=["kill-door"], wanted_troubles=["kill-door"])
    return Seen(SMOKE, evidence, totals, samples, 0.0, "PostgreSQL", [(2.0, "kill-door: gone")])


def test_the_page_tells_of_crowd_system_troubles_and_promises() -> None:
    text = page(a_seen_run())
    for said in (
        "6 answered", "3 throttled", "a launch day 225 times as fast", "PostgreSQL",
        "serve 1", "0.10 cores", "redis        100 commands/s", "kill-door: gone",
        "GREEN: every promise was kept",
    ):  # fmt: skip
        assert said in text, said


def test_the_report_holds_verdict_plots_and_figures_beside_locusts_own(tmp_path: Path) -> None:
    seen = a_seen_run()
    (tmp_path / "locust.html").write_text("its own")
    folder = tmp_path / "report"
    html = write(seen, tmp_path, folder).read_text()
    assert html.count("<svg") == len(PLOTS)
    assert "GREEN" in html
    assert all(f"<h2>{title}</h2>" in html for title in PLOTS)
    assert "src=" not in html, "nothing is loaded from elsewhere"
    assert "{{" in PAGE
    assert "{{" not in html
    figures = json.loads((folder / "figures.json").read_text())
    assert figures["exit_code"] == 0
    assert "(`smoke`, PostgreSQL, kill-door): 6 requests by 1,000 people" in figures["summary"]
    assert figures["requests"] == 6
    assert figures["waits"] == {"before": 0, "inside": 90, "after": 0}
    assert (folder / "locust.html").exists()
    assert "GREEN" in (folder / "page.txt").read_text()


def test_the_rehearsal_is_the_load_test_with_other_defaults() -> None:
    small, large = parse([], LOADTEST, ""), parse([], REHEARSAL, "")
    assert (small.scenario.name, large.scenario.name) == ("smoke", "launch-1200")
    assert (small.report, small.store, small.trouble) == (None, "sqlite", [])
    assert (large.store, large.expect_workers) == ("auto", 2)
    assert parse(["--trouble"], REHEARSAL, "").trouble == list(USUAL)
    assert parse(["--trouble", "pause"], REHEARSAL, "").trouble == ["pause"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["--trouble", "earthquake"],
        ["--expect-workers", "0"],
        ["--host", "http://127.0.0.1:1", "--trouble"],
        ["--store", "paper"],
    ],
)
def test_what_cannot_be_rehearsed_is_refused(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(arguments, REHEARSAL, "")
    assert ended.value.code == 2


def test_a_staging_system_that_is_not_there_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert run.main(["--host", "http://127.0.0.1:1"], REHEARSAL) == 2
    assert "http://127.0.0.1:1/v1/waves/load-1/board" in capsys.readouterr().err


def test_the_programme_for_a_staging_system_can_be_loaded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run.main(["--programme"], REHEARSAL) == 0
    file = tmp_path / "programme.toml"
    file.write_text(capsys.readouterr().out)
    [programme] = load_programmes([file])
    assert programme.waves[0].policy.quota == parse([], REHEARSAL, "").terms.quota


def test_a_raised_quota_is_more() -> None:
    assert raised(100) == 110
    assert raised(1) == 2
