"""The whole road, against a real gateway."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from loadtests import run
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


@pytest.mark.timeout(120)
@pytest.mark.parametrize("processes", [1, 2])
def test_a_small_crowd_against_a_real_gateway_is_green(tmp_path: Path, processes: int) -> None:
    answer = subprocess.run(
        [
            *(sys.executable, "-m", "loadtests", "--profile", "tiny", "--seed", str(SEED)),
            *("--expect-workers", str(processes)),
        ],
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
