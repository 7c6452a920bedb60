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
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from gateway.core.draw import Draw
from loadtests import system
from loadtests.children import end, spawn
from loadtests.evidence import Terms
from loadtests.journal import read_totals
from loadtests.remains import gather
from loadtests.report import page
from loadtests.scenario import Scenario, add_arguments, scenario_of
from loadtests.stores import RunStore, store_of
from loadtests.system import Gateway, NotReadyError
from loadtests.verdict import exit_code

VOID = 2
INTERRUPTED = 130
START_S = 6.0  # for Locust to import itself and to make its users
PROGRESS_S = 10.0
SETTLE_S_MAX = 30.0  # for the last rows to reach the store
LOCUST_STOP_S_MAX = 20.0
VERIFY_S_MAX = 120.0
STORE_OF_RATE = 3  # the store is let take so many times the rate of admissions


def main(argv: Sequence[str] | None = None) -> int:
    """Run once; return the exit code."""
    options = _options(argv)
    signal.signal(signal.SIGTERM, _interrupt)
    folder = Path(tempfile.mkdtemp(prefix="gw-load-"))
    code = VOID
    try:
        with store_of(options.store, folder / "data") as store:
            code = _run(options, folder, store)
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
    add_arguments(parser, "--profile", "--crowd", profile="smoke")
    parser.add_argument("--rate", type=float, help="admissions per second [the profile's]")
    parser.add_argument("--quota", type=int, help="places [the profile's]")
    parser.add_argument("--store", choices=("auto", "sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--expect-workers", type=int, default=1, help="processes of Locust [1]")
    parser.add_argument("--keep", action="store_true", help="keep the run's folder")
    options = parser.parse_args(argv)
    try:
        options.scenario = scenario_of(options)
        options.terms = terms_of(options.scenario, options.rate, options.quota)
    except ValueError as error:
        parser.error(str(error))
    return options


def terms_of(scenario: Scenario, rate_per_s: float | None, quota: int | None) -> Terms:
    """Return the wave that a scenario meets.

    Raises:
        ValueError: rate or quota make no sense.

    """
    policy: Any = dict(scenario.profile.policy)
    if rate_per_s is not None:
        policy |= {"rate_per_s": rate_per_s, "burst": max(1, round(rate_per_s / 10))}
    policy |= {} if quota is None else {"quota": quota}
    if not (1 <= policy["rate_per_s"] <= 10_000 and policy["quota"] >= 1):
        raise ValueError("--rate goes from 1 to 10000, --quota from 1")
    return Terms(
        people=scenario.people,
        **policy,
        prequeue_s=scenario.profile.prequeue_s,
        open_s=scenario.profile.open_s,
        store_per_s=max(1, round(STORE_OF_RATE * policy["rate_per_s"])),
    )


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    del number, frame
    raise KeyboardInterrupt


def _run(options: argparse.Namespace, folder: Path, store: RunStore) -> int:
    terms, scenario = options.terms, options.scenario
    settings = f'[store]\nurl = "{store.url}"\nmax_per_s = {terms.store_per_s}\n'
    opens_s = START_S + scenario.profile.early_s
    gateway = system.start(folder, terms, opens_s=opens_s, more=settings)
    print(
        f"  {terms.people:,} people at {gateway.url}, {store.name}, seed {scenario.seed}",
        flush=True,
    )
    try:
        _send(gateway, options)
        board = _settle(gateway, store)
        verified = board is not None and _verify(gateway)
        rows = store.rows(system.WAVE)
    finally:
        stop_code = gateway.stop()
    totals = read_totals(folder, options.expect_workers)
    if totals is None:
        print(f"  VOID: Locust did not come to its end; see {folder}/locust.log")
        return VOID
    evidence = gather(
        terms,
        folder,
        totals,
        rows,
        draw=_draw(board),
        draw_verified=verified,
        admitted=None if board is None else board["admitted"],
        stop_code=stop_code,
    )
    print(page(evidence, totals, scenario))
    return exit_code(evidence)


def _send(gateway: Gateway, options: argparse.Namespace) -> None:
    """Let Locust send the crowd, and tell how far it is."""
    scenario, folder, processes = options.scenario, gateway.folder, options.expect_workers
    command = [
        *(sys.executable, "-m", "locust", "-f", str(Path(__file__).with_name("locustfile.py"))),
        *("--headless", "--only-summary", "--host", gateway.url, "--loglevel", "WARNING"),
        *("--stop-timeout", "0", "--wave", system.WAVE, *scenario.arguments()),
        *("--folder", str(folder), "--html", str(folder / "locust.html")),
        *("--csv", str(folder / "locust")),
        *(("--processes", f"{processes}") if processes > 1 else ()),
    ]
    locust = spawn(command, folder / "locust.log")
    began_s = time.monotonic()
    limit_s = began_s + START_S + scenario.seconds + LOCUST_STOP_S_MAX
    try:
        while locust.poll() is None and time.monotonic() < limit_s:
            try:
                locust.wait(PROGRESS_S)
            except subprocess.TimeoutExpired:
                print(_progress(gateway, scenario, time.monotonic() - began_s), flush=True)
    finally:
        end(locust, signal.SIGTERM, LOCUST_STOP_S_MAX)


def _progress(gateway: Gateway, scenario: Scenario, at_s: float) -> str:
    stage = scenario.stage(at_s - START_S - scenario.profile.early_s)
    try:
        board = gateway.board()
    except OSError as error:
        return f"  {at_s:5.0f} s  {stage:<9}  the board does not answer: {error}"
    accepted = board["quota"] - board["places_left"]
    return (
        f"  {at_s:5.0f} s  {stage:<9}  {board['phase']:<9} {board['issued']:>7,} joined "
        f"{board['admitted']:>7,} admitted {accepted:>7,} registered"
    )


def _settle(gateway: Gateway, store: RunStore) -> Mapping[str, Any] | None:
    """Wait until delivery has nothing left to do; return the board as it is then."""
    deadline_s = time.monotonic() + SETTLE_S_MAX
    while True:
        try:
            board = gateway.board()
        except OSError:
            return None
        accepted = board["quota"] - board["places_left"]
        recorded = len(store.rows(system.WAVE))
        if recorded >= accepted or time.monotonic() > deadline_s:
            return board
        time.sleep(0.2)


def _draw(board: Mapping[str, Any] | None) -> Draw | None:
    seed = board and board["draw"]["seed"]
    return Draw(bytes.fromhex(seed), board["cohort"]) if board and seed else None


def _verify(gateway: Gateway) -> bool:
    """Have everybody's own tool say whether the draw was fair."""
    command = [sys.executable, "-m", "gateway", "verify-draw", "--all"]
    command += ["--board", f"{gateway.url}/v1/waves/{system.WAVE}/board"]
    try:
        done = subprocess.run(command, check=False, capture_output=True, timeout=VERIFY_S_MAX)  # noqa: S603
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(main())
