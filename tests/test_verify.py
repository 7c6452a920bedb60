"""Anybody can verify a draw from the board alone, and a forged one fails."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from gateway.core import draw
from gateway.verify import verify_draw

SECRET = b"s" * 32
COHORT = 500
SEED = draw.seed(SECRET, "p", "w", "", COHORT)


def a_board(**changes: Any) -> dict[str, Any]:
    published = {
        "commitment": draw.commitment(SECRET), "secret": SECRET.hex(), "beacon": None, "seed": SEED.hex(),
    }  # fmt: skip
    return {"programme": "p", "wave": "w", "cohort": COHORT, "draw": published | changes}


def verify(tmp_path: Path, board: Any, *options: str) -> Result:
    file = tmp_path / "board.json"
    file.write_text(json.dumps(board))
    return CliRunner().invoke(verify_draw, ["--board", str(file), *options])


def test_a_true_draw_passes_for_one_and_for_all(tmp_path: Path) -> None:
    position = draw.Draw(SEED, COHORT).position(7)
    result = verify(tmp_path, a_board(), "--number", "7", "--position", str(position), "--all")
    assert result.exit_code == 0, result.output
    assert result.output.rstrip().endswith("PASS")
    assert "500 positions, each given once" in result.output


@pytest.mark.parametrize(
    "forged",
    [
        {"secret": (b"t" * 32).hex()},
        {"seed": "00" * 32},
        {"commitment": "00" * 32},
        {"beacon": "later"},
    ],
)
def test_a_forged_draw_fails(tmp_path: Path, forged: dict[str, str]) -> None:
    result = verify(tmp_path, a_board(**forged))
    assert result.exit_code == 1
    assert result.output.rstrip().endswith("FAIL")


def test_a_wrong_position_and_another_commitment_fail(tmp_path: Path) -> None:
    wrong = draw.Draw(SEED, COHORT).position(7) + 1
    assert verify(tmp_path, a_board(), "--number", "7", "--position", str(wrong)).exit_code == 1
    assert verify(tmp_path, a_board(), "--commitment", "00" * 32).exit_code == 1
    assert verify(tmp_path, a_board() | {"cohort": COHORT - 1}).exit_code == 1


@pytest.mark.parametrize("board", [[], {}, a_board(secret=None), "x"])
def test_what_is_no_board_is_refused_in_one_line(tmp_path: Path, board: Any) -> None:
    result = verify(tmp_path, board)
    assert result.exit_code == 1
    assert "Traceback" not in result.output


def test_a_position_needs_its_number(tmp_path: Path) -> None:
    assert verify(tmp_path, a_board(), "--position", "1").exit_code == 2
