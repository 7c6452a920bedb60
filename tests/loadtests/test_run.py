"""The whole road, against a real gateway."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from loadtests import run
from loadtests.journal import read_totals
from tests.gateways import RunningGateway, a_gateway
from tests.loadtests.told import SEED


@pytest.mark.parametrize(
    "arguments",
    [
        ["--people", "-1"],
        ["--people", "1000000"],
        ["--rate", "0.5"],
        ["--quota", "0"],
        ["--people", "many"],
        ["--profile", "huge"],
        ["--profile", "launch-2020"],  # for the simulation alone
        ["--bots", "lots"],
        ["--bots", "120%@0:10"],
        ["--hammer", "-1"],
        ["--robots"],
    ],
)
def test_wrong_usage_is_told_before_anything_is_started(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        run.main(arguments)
    assert ended.value.code == 2
    assert "error:" in capsys.readouterr().err


@pytest.fixture
def folder() -> Iterator[Path]:
    """Yield a folder that PostgreSQL's own user may enter."""
    with tempfile.TemporaryDirectory(prefix="gw-run-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def run_tiny(module: str, folder: Path, *more: str) -> str:
    """Run the smallest crowd; return what was said."""
    answer = subprocess.run(
        [sys.executable, "-m", module, "--profile", "tiny", "--seed", str(SEED), *more],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "TMPDIR": str(folder), "GATEWAY_PUBLIC_PORT": "not for this one"},
    )
    if answer.returncode == 2 and "generator limited" in answer.stdout:
        pytest.skip("this machine is too busy to be a crowd")
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert "GREEN" in answer.stdout
    assert list(folder.iterdir()) == [], "nothing is left behind"
    return answer.stdout


@pytest.mark.timeout(120)
def test_a_small_crowd_against_a_real_gateway_is_green(folder: Path) -> None:
    assert "store: SQLite" in run_tiny("loadtests", folder)


@pytest.mark.timeout(120)
def test_a_small_rehearsal_is_green_though_doors_valkey_and_store_are_struck(
    tmp_path: Path, folder: Path
) -> None:
    report = tmp_path / "report"
    said = run_tiny("loadtests.rehearsal", folder, "--trouble", "--report", str(report))
    assert "store: PostgreSQL" in said
    assert "were made: kill-door, " in said
    figures = json.loads((report / "figures.json").read_text())
    assert {"serve 1", "serve 2", "deliver 1", "valkey 1", "postgresql", "locust 2"} <= set(
        figures["processes"]
    )
    assert (report / "report.html").exists()
    assert (report / "locust.html").exists()


def locust(gateway: RunningGateway, folder: Path, *words: str) -> str:
    """Send a tiny crowd by Locust alone; return what it said."""
    command = [
        *(sys.executable, "-m", "locust", "-f", "loadtests/locustfile.py", "--headless"),
        *("--only-summary", "--host", gateway.public_url, "--wave", gateway.wave),
        *("--crowd", "tiny", "--stop-timeout", "0", "--folder", str(folder), *words),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)
    return done.stdout + done.stderr


@pytest.mark.timeout(180)
def test_tags_choose_which_kinds_of_people_come(tmp_path: Path) -> None:
    with a_gateway(opens_at="+6s") as gateway:
        assert "--tags leave nobody; there are patient, " in locust(
            gateway, tmp_path / "none", "--tags", "nobody"
        )
        locust(gateway, tmp_path / "few", "--tags", "patient", "bot", "--exclude-tags", "bot")
        totals = read_totals(tmp_path / "few")
    assert totals is not None
    assert {habit for habit, _, _ in totals.answers} == {"patient"}
    assert 0 < totals.lives < 40
