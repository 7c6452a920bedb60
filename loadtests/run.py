"""One run from start to verdict: a gateway of its own, Locust beside it, then the judgement.

Exit codes: 0 every promise held, 1 one was broken, 2 the run proves nothing (generator limited, wrong
usage, no gateway), 130 interrupted.
"""

import argparse
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import NoReturn

from loadtests import system
from loadtests.children import end, spawn
from loadtests.evidence import gather, read_store
from loadtests.journal import read_tally
from loadtests.profiles import PROFILES, Profile
from loadtests.report import page
from loadtests.system import Gateway, NotReadyError
from loadtests.verdict import Terms, exit_code

VOID = 2
INTERRUPTED = 130
START_S = 6.0  # for Locust to import itself and to make its users
FORM_S = 12.0  # from the last admission to the last receipt
PROGRESS_S = 5.0
SETTLE_S_MAX = 10.0  # for the last rows to reach the store
LOCUST_STOP_S_MAX = 15.0


def main(argv: Sequence[str] | None = None) -> int:
    """Run once; return the exit code."""
    options = _options(argv)
    profile = replace(
        PROFILES["smoke"],
        people=options.people,
        rate_per_s=options.rate,
        seconds=options.seconds,
    )
    signal.signal(signal.SIGTERM, _interrupt)
    folder = Path(tempfile.mkdtemp(prefix="gw-load-"))
    code = VOID
    try:
        code = _run(profile, options.seed, folder)
    except NotReadyError as error:
        print(error, file=sys.stderr)
    except KeyboardInterrupt:
        code = INTERRUPTED
    if code in {1, VOID} or options.keep:
        print(f"  kept: {folder}")
    else:
        shutil.rmtree(folder)
    return code


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    smoke = PROFILES["smoke"]
    parser = argparse.ArgumentParser(
        prog="python -m loadtests", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--people", type=int, default=smoke.people, help="[%(default)s]")
    parser.add_argument("--rate", type=float, default=smoke.rate_per_s, help="per s [%(default)s]")
    parser.add_argument("--seconds", type=int, default=smoke.seconds, help="[%(default)s]")
    parser.add_argument("--seed", type=int, default=1, help="another seed, another crowd")
    parser.add_argument("--keep", action="store_true", help="keep the run's folder")
    options = parser.parse_args(argv)
    if not (1 <= options.people <= 50_000 and 1 <= options.rate <= 10_000):
        parser.error("--people must be from 1 to 50000, --rate from 1 to 10000")
    needed_s = smoke.early_s + max(options.people / options.rate, smoke.late_s) + FORM_S
    if options.seconds < needed_s:
        people = f"{options.people} people at {options.rate:g}/s"
        parser.error(f"{people} need {needed_s:.0f} seconds; --seconds is {options.seconds}")
    return options


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    del number, frame
    raise KeyboardInterrupt


def _run(profile: Profile, seed: int, folder: Path) -> int:
    terms = Terms(
        people=profile.people,
        rate_per_s=profile.rate_per_s,
        burst=max(1, round(profile.rate_per_s / 10)),
        quota=profile.people,
    )
    gateway = system.start(folder, terms, opens_s=START_S + profile.early_s)
    print(f"  {terms.people:,} applicants at {gateway.url}, seed {seed}", flush=True)
    try:
        _send(gateway, profile, seed)
        admitted = _settle(gateway)
    finally:
        stop_code = gateway.stop()
    tally = read_tally(folder)
    if tally is None:
        print(f"  VOID: Locust did not come to its end; see {folder}/locust.log")
        return VOID
    evidence = gather(
        terms,
        folder,
        tally,
        read_store(gateway.store, system.WAVE),
        pass_ttl_s=system.PASS_TTL_S,
        admitted=admitted,
        stop_code=stop_code,
    )
    print(page(evidence, tally, seed))
    return exit_code(evidence)


def _send(gateway: Gateway, profile: Profile, seed: int) -> None:
    """Let Locust send the crowd, and tell how far it is."""
    command = [
        *(sys.executable, "-m", "locust", "-f", str(Path(__file__).with_name("locustfile.py"))),
        *("--headless", "--only-summary", "--host", gateway.url, "--loglevel", "WARNING"),
        *("--users", str(profile.people), "--spawn-rate", str(profile.people)),
        *("--run-time", f"{round(START_S) + profile.seconds}s", "--stop-timeout", "0"),
        *("--wave", system.WAVE, "--seed", str(seed), "--folder", str(gateway.folder)),
        *("--html", str(gateway.folder / "report.html")),
    ]
    locust = spawn(command, gateway.folder / "locust.log")
    began_s = time.monotonic()
    limit_s = began_s + START_S + profile.seconds + LOCUST_STOP_S_MAX
    try:
        while locust.poll() is None and time.monotonic() < limit_s:
            try:
                locust.wait(PROGRESS_S)
            except subprocess.TimeoutExpired:
                print(_progress(gateway, time.monotonic() - began_s), flush=True)
    finally:
        end(locust, signal.SIGTERM, LOCUST_STOP_S_MAX)


def _progress(gateway: Gateway, at_s: float) -> str:
    try:
        board = gateway.board()
    except OSError as error:
        return f"  {at_s:3.0f} s  the board does not answer: {error}"
    accepted = board["quota"] - board["places_left"]
    return (
        f"  {at_s:3.0f} s  {board['phase']:<9} {board['issued']:>7,} joined "
        f"{board['admitted']:>7,} admitted {accepted:>7,} registered"
    )


def _settle(gateway: Gateway) -> int:
    """Wait until delivery has nothing left to do; return how many passes were issued."""
    deadline_s = time.monotonic() + SETTLE_S_MAX
    while True:
        board = gateway.board()
        accepted = board["quota"] - board["places_left"]
        recorded = len(read_store(gateway.store, system.WAVE))
        if recorded >= accepted or time.monotonic() > deadline_s:
            admitted: int = board["admitted"]
            return admitted
        time.sleep(0.2)


if __name__ == "__main__":
    sys.exit(main())
