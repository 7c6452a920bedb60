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
from loadtests.evidence import Terms
from loadtests.journal import read_tally
from loadtests.profiles import PROFILES
from loadtests.remains import gather, read_store
from loadtests.report import page
from loadtests.system import Gateway, NotReadyError
from loadtests.verdict import exit_code

VOID = 2
INTERRUPTED = 130
START_S = 6.0  # for Locust to import itself and to make its users
FORM_S = 14.0  # from the last admission to the last receipt
PEOPLE_MAX, RATE_MAX = 50_000, 10_000
PROGRESS_S = 5.0
SETTLE_S_MAX = 10.0  # for the last rows to reach the store
LOCUST_STOP_S_MAX = 15.0


def main(argv: Sequence[str] | None = None) -> int:
    """Run once; return the exit code."""
    options = _options(argv)
    signal.signal(signal.SIGTERM, _interrupt)
    folder = Path(tempfile.mkdtemp(prefix="gw-load-"))
    code = VOID
    try:
        code = _run(options, folder)
    except NotReadyError as error:
        print(error, file=sys.stderr)
    except KeyboardInterrupt:
        code = INTERRUPTED
    if code in {1, VOID} or options.keep:
        print(f"  The run lies in {folder}")
    else:
        shutil.rmtree(folder)
    return code


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m loadtests", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--profile", choices=PROFILES, default="smoke", help="[%(default)s]")
    parser.add_argument("--people", type=int, help="applicants, each a place of the quota")
    parser.add_argument("--rate", type=float, help="admissions per second")
    parser.add_argument("--seconds", type=int, help="from the first arrival to the end")
    parser.add_argument("--seed", type=int, default=1, help="another seed, another crowd")
    parser.add_argument("--keep", action="store_true", help="keep the run's folder")
    options = parser.parse_args(argv)
    said = {"people": options.people, "rate_per_s": options.rate, "seconds": options.seconds}
    known = {name: value for name, value in said.items() if value is not None}
    options.crowd = crowd = replace(PROFILES[options.profile], **known)
    if not (1 <= crowd.people <= PEOPLE_MAX and 1 <= crowd.rate_per_s <= RATE_MAX):
        parser.error(f"--people goes from 1 to {PEOPLE_MAX}, --rate from 1 to {RATE_MAX}")
    served_s = crowd.early_s + max(crowd.people / crowd.rate_per_s, crowd.late_s)
    if crowd.seconds < served_s + FORM_S:
        people = f"{crowd.people} people at {crowd.rate_per_s:g}/s"
        parser.error(f"{people} need {served_s + FORM_S:.0f} seconds, not {crowd.seconds}")
    return options


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    del number, frame
    raise KeyboardInterrupt


def _run(options: argparse.Namespace, folder: Path) -> int:
    profile, seed = options.crowd, options.seed
    terms = Terms(
        people=profile.people,
        rate_per_s=profile.rate_per_s,
        burst=max(1, round(profile.rate_per_s / 10)),
        quota=profile.people,
    )
    gateway = system.start(folder, terms, opens_s=START_S + profile.early_s)
    print(f"  {terms.people:,} applicants at {gateway.url}, seed {seed}", flush=True)
    try:
        _send(gateway, options)
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


def _send(gateway: Gateway, options: argparse.Namespace) -> None:
    """Let Locust send the crowd, and tell how far it is."""
    crowd = options.crowd
    command = [
        *(sys.executable, "-m", "locust", "-f", str(Path(__file__).with_name("locustfile.py"))),
        *("--headless", "--only-summary", "--host", gateway.url, "--loglevel", "WARNING"),
        *("--users", str(crowd.people), "--spawn-rate", str(crowd.people)),
        *("--run-time", f"{round(START_S) + crowd.seconds}s", "--stop-timeout", "0"),
        *("--wave", system.WAVE, "--crowd", options.profile, "--seed", str(options.seed)),
        *("--folder", str(gateway.folder), "--html", str(gateway.folder / "report.html")),
    ]
    locust = spawn(command, gateway.folder / "locust.log")
    began_s = time.monotonic()
    limit_s = began_s + START_S + crowd.seconds + LOCUST_STOP_S_MAX
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


def _settle(gateway: Gateway) -> int | None:
    """Wait until delivery has nothing left to do; return how many passes the board says were issued."""
    deadline_s = time.monotonic() + SETTLE_S_MAX
    while True:
        try:
            board = gateway.board()
        except OSError:
            return None
        accepted = board["quota"] - board["places_left"]
        recorded = len(read_store(gateway.store, system.WAVE))
        if recorded >= accepted or time.monotonic() > deadline_s:
            admitted: int = board["admitted"]
            return admitted
        time.sleep(0.2)


if __name__ == "__main__":
    sys.exit(main())
