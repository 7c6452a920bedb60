"""Was the draw fair? Everything recomputed from what the board shows, by whoever wants to know.

Needs no secret, no account and no gateway of one's own: a saved board will do.
"""

import json
import sys
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from gateway.core import draw

BOARD_BYTES_MAX = 64 * 1024
TIMEOUT_S = 10


@click.command("verify-draw")
@click.option(
    "--board",
    metavar="URL|FILE",
    required=True,
    help="The board: its address, or a file with what it showed; - reads it from stdin.",
)
@click.option("--commitment", metavar="HEX", help="What you noted before the opening.")
@click.option("--number", type=click.IntRange(0, 2**31 - 1), help="A number given at joining.")
@click.option("--position", type=click.IntRange(0, 2**31 - 1), help="The position it was told.")
@click.option("--all", "every", is_flag=True, help="Recompute every position of the cohort.")
def verify_draw(
    board: str, commitment: str | None, number: int | None, position: int | None, every: bool
) -> None:
    """Recompute a draw from the published values alone, and say PASS or FAIL."""
    if position is not None and number is None:
        raise click.UsageError("--position needs --number")
    shown = _read(board)
    made, passed = _seed(shown, commitment)
    drawn = draw.Draw(made, shown["cohort"])
    if number is not None:
        passed &= _position(drawn, number, position)
    if every:
        passed &= _every(drawn)
    click.echo("PASS" if passed else "FAIL")
    if not passed:
        raise SystemExit(1)


def _say(what: str, passed: bool) -> bool:
    click.echo(f"{what:<58}{'PASS' if passed else 'FAIL'}")
    return passed


def _seed(shown: Mapping[str, Any], noted: str | None) -> tuple[bytes, bool]:
    """Check what binds the draw: the secret behind the commitment, and the seed made of it."""
    published = shown["draw"]
    secret = bytes.fromhex(published["secret"])
    commitment = draw.commitment(secret)
    passed = _say(
        "the secret is the one that was committed to", commitment == published["commitment"]
    )
    if noted is not None:
        passed &= _say("the commitment is the one you noted", commitment == noted.lower())
    made = draw.seed(
        secret, shown["programme"], shown["wave"], published["beacon"] or "", shown["cohort"]
    )
    passed &= _say(
        "the seed follows from secret, beacon and cohort", made.hex() == published["seed"]
    )
    return made, passed


def _position(drawn: draw.Draw, number: int, told: int | None) -> bool:
    position = drawn.position(number)
    if told is None:
        click.echo(f"number {number} has position {position}")
        return True
    return _say(f"number {number} has position {position}, told {told}", position == told)


def _every(drawn: draw.Draw) -> bool:
    """Recompute all positions: each must be given exactly once."""
    seen = bytearray(drawn.cohort)
    with click.progressbar(range(drawn.cohort), label="recomputing", file=sys.stderr) as numbers:
        for number in numbers:
            seen[drawn.position(number)] += 1
    once = seen.count(1) == drawn.cohort
    return _say(f"{drawn.cohort} positions, each given once", once)


def _read(board: str) -> dict[str, Any]:
    """Read a board from where it is, and refuse one that cannot be checked yet."""
    try:
        text = _fetch(board)
        shown = json.loads(text)
        missing = {"programme", "wave", "cohort", "draw"} - set(shown)
    except (OSError, ValueError, TypeError) as error:
        raise click.ClickException(f"{board}: is no board: {error}") from error
    if missing:
        raise click.ClickException(f"{board}: is no board: it lacks {', '.join(sorted(missing))}")
    if not shown["draw"].get("secret"):
        raise click.ClickException(
            "the secret is shown at the opening: there is no draw to verify yet"
        )
    return dict(shown)


def _fetch(board: str) -> str:
    if board == "-":
        return sys.stdin.read(BOARD_BYTES_MAX)
    if board.startswith(("http://", "https://")):
        with urllib.request.urlopen(board, timeout=TIMEOUT_S) as answer:  # noqa: S310  checked above
            return str(answer.read(BOARD_BYTES_MAX).decode())
    return Path(board).read_text("utf-8")[:BOARD_BYTES_MAX]
