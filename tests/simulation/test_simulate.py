"""The command: what it says, what it writes, what it refuses."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gateway.simulate import INSTALL, simulate
from gateway.simulation.table import clock

SMALL = ["--people", "300", "--hours", "0.02"]


def run(*options: str) -> Result:
    return CliRunner().invoke(simulate, [*SMALL, *options])


def test_it_tells_a_person_and_writes_report_and_plot(tmp_path: Path) -> None:
    report, curves = tmp_path / "day.json", tmp_path / "day.png"
    result = run("--json", str(report), "--plot", str(curves), "--no-shows", "0.1")
    assert result.exit_code == 0, result.output
    told = json.loads(report.read_text())
    assert told["schema"] == "gateway-simulation/1"
    assert told["people"] == 300
    assert f"{told['wave']['most_waiting']:,} at" in result.stdout
    assert result.stdout.count("kept") == 2
    assert curves.read_bytes().startswith(b"\x89PNG")
    assert result.stderr == ""


def test_the_report_alone_goes_to_stdout() -> None:
    told = json.loads(run("--json", "-", "--rate", "7", "--seed", "3").stdout)
    assert told["policy"]["rate_per_s"] == told["policy"]["burst"] == 7
    assert told["seed"] == 3
    assert told["decided_by"] == "core"


def test_the_policy_of_a_wave_can_be_tried_and_changed() -> None:
    file = "config/programmes/prakerja-2020.toml"
    told = json.loads(run("--programme", file, "--quota", "5", "--json", "-").stdout)
    assert (told["policy"]["rate_per_s"], told["policy"]["quota"]) == (50.0, 5)
    assert told["policy"]["poll_budget_per_s"] == 8_000


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--rate", "0"], "rate_per_s must be from 0.001"),
        (["--rate", "5", "--burst", "50"], "more than one second of rate"),
        (["--quota", "-1", "--form-cap", "0"], "form_cap"),
        (["--people", "0"], "--people"),
        (["--hours", "0"], "--hours"),
        (["--no-shows", "2"], "--no-shows"),
        (["--profile", "sunday"], "launch-2020"),
        (["--wave", "w"], "--wave needs --programme"),
        (["--programme", "config/programmes/demo.toml", "--wave", "w"], "demo-1"),
        (["--json", "nowhere/day.json"], "cannot be written"),
        (["--plot", "nowhere/day.png"], "cannot be written"),
    ],
)
def test_bad_input_is_refused_with_its_reason(options: list[str], says: str) -> None:
    result = run(*options)
    assert result.exit_code == 2
    assert says in result.output
    assert "Traceback" not in result.output


def test_what_is_missing_is_told_with_its_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    result = run("--plot", "day.png")
    assert result.exit_code != 0
    assert INSTALL in result.output


def test_spans_read_as_clock_times() -> None:
    assert [clock(s) for s in (0, 61.4, 3_600, -90, None)] == [
        "0:00:00",
        "0:01:01",
        "1:00:00",
        "-0:01:30",
        "-",
    ]
