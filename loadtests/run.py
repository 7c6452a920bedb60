"""One run from start to verdict: a gateway of its own, Locust beside it, then the judgement.

Exit codes: 0 every promise held, 1 one was broken, 2 the run proves nothing (generator limited, wrong
usage, no gateway), 130 interrupted.
"""

import argparse
import contextlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from gateway.core.draw import Draw
from loadtests import system
from loadtests.evidence import Row
from loadtests.journal import read_totals
from loadtests.options import LOADTEST, Defaults, parse
from loadtests.rehearsal.processes import Processes
from loadtests.rehearsal.sampling import Sample, Sampler, usages
from loadtests.rehearsal.trouble import Maker, raised
from loadtests.remains import gather
from loadtests.report import Seen, page
from loadtests.scenario import Scenario
from loadtests.sending import send
from loadtests.stores import Elsewhere, RunStore, store_of
from loadtests.system import Gateway, NotReadyError
from loadtests.verdict import exit_code

VOID = 2
INTERRUPTED = 130
START_S = 6.0  # for Locust to import itself and to make its users
STAGING_S = 600.0  # from the start of a staging system to the first arrival
SETTLE_S_MAX = 30.0  # for the last rows to reach the store
VERIFY_S_MAX = 120.0


def main(argv: Sequence[str] | None = None, defaults: Defaults = LOADTEST) -> int:
    """Run once; return the exit code."""
    options = parse(argv, defaults, (__doc__ or "").partition("\n")[0])
    if options.programme:
        opens_s = STAGING_S + options.scenario.profile.early_s
        print(system.programme(options.terms, opens_s=opens_s))
        return 0
    signal.signal(signal.SIGTERM, _interrupt)
    folder = Path(tempfile.mkdtemp(prefix="gw-load-"))
    code = VOID
    try:
        with _store(options, folder) as store, _gateway(options, folder, store) as gateway:
            code = _Run(options, gateway, store).live()
    except NotReadyError as error:
        print(error, file=sys.stderr)
    except KeyboardInterrupt:
        code = INTERRUPTED
    if any(folder.iterdir()) and (code in {1, VOID} or options.keep):
        print(f"  The run lies in {folder}")
    else:
        shutil.rmtree(folder)
    return code


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    del number, frame
    raise KeyboardInterrupt


@contextlib.contextmanager
def _store(options: argparse.Namespace, folder: Path) -> Iterator[RunStore]:
    if options.host:
        yield Elsewhere(options.host, folder)
    else:
        with store_of(options.store, folder / "data") as store:
            yield store


@contextlib.contextmanager
def _gateway(options: argparse.Namespace, folder: Path, store: RunStore) -> Iterator[Gateway]:
    if options.host:
        yield system.elsewhere(options.host, options.wave, folder)
        return
    terms = options.terms
    opens_s = START_S + options.scenario.profile.early_s
    settings = f'[store]\nurl = "{store.url}"\nmax_per_s = {terms.store_per_s}\n'
    gateway = system.start(folder, terms, opens_s=opens_s, more=settings)
    try:
        yield gateway
    finally:
        gateway.stop()


class _Run:
    """One run."""

    def __init__(self, options: argparse.Namespace, gateway: Gateway, store: RunStore) -> None:
        self._options, self._gateway, self._store = options, gateway, store
        self._scenario: Scenario = options.scenario
        self._folder = gateway.folder
        self._opens_s = datetime.fromisoformat(gateway.board()["opens_at"]).timestamp()
        child, operator_url = gateway.child, gateway.operator_url
        self._processes = Processes(child.pid if child else None, store.pid)
        self._sampler = Sampler(
            self._processes,
            gateway.board,
            opens_s=self._opens_s,
            redis_socket=gateway.data / "valkey.sock" if child else None,
            metrics_url=f"{operator_url}/metrics" if operator_url else "",
        )
        self._maker = Maker(
            options.trouble,
            gateway,
            store,
            self._processes,
            opens_s=self._opens_s,
            open_s=self._scenario.profile.open_s,
            quota=options.terms.quota,
        )

    def live(self) -> int:
        """Send the crowd, let all settle, judge."""
        options, scenario = self._options, self._scenario
        print(
            f"  {scenario.name}: {scenario.people:,} people at {self._gateway.url}, seed {scenario.seed}; "
            f"store: {self._store.name}; a launch day {scenario.profile.compression:g} times as fast",
            flush=True,
        )
        self._sampler.start()
        self._maker.start()
        try:
            send(options, self._gateway, self._processes, opens_s=self._opens_s)
        finally:
            self._maker.stop()
        board = self._settle()
        after = {
            "draw": _draw(board),
            "draw_verified": board is not None and self._verify(),
            "admitted": None if board is None else board["admitted"],
        }
        rows = self._store.rows(self._gateway.wave)
        samples = self._sampler.stop()
        return self._judge(rows, samples, after | {"stop_code": self._gateway.stop()})

    def _judge(
        self, rows: Sequence[Row], samples: Sequence[Sample], after: Mapping[str, Any]
    ) -> int:
        options, terms, made = self._options, self._options.terms, self._maker.made
        totals = read_totals(self._folder, options.expect_workers)
        if totals is None:
            print(f"  VOID: Locust did not come to its end; see {self._folder}/locust.log")
            return VOID
        if "raise-quota" in made:
            terms = replace(terms, quota=raised(terms.quota))
        cpu = [use.cpu_most for name, use in usages(samples).items() if name.startswith("locust")]
        evidence = gather(
            terms,
            self._folder,
            totals,
            rows,
            requests_min=self._scenario.requests_min,
            generator_cpu=max(cpu, default=0.0),
            troubles=made,
            stops_us=[(int(a * 1e6), int(b * 1e6)) for a, b in self._maker.stops_s],
            wanted_troubles=options.trouble,
            kills_s=self._maker.kills_s,
            **after,
        )
        seen = Seen(
            *(self._scenario, evidence, totals, samples),
            *(self._opens_s, self._store.name, self._maker.log),
        )
        print(page(seen))
        if options.report:
            from loadtests.rehearsal.html import write  # noqa: PLC0415  slow to import

            print(f"  The report lies in {write(seen, self._folder, options.report)}")
        return exit_code(evidence)

    def _settle(self) -> Mapping[str, Any] | None:
        """Wait until delivery has nothing left to do; return the board as it is then."""
        deadline_s = time.monotonic() + SETTLE_S_MAX
        while True:
            try:
                board = self._gateway.board()
            except (OSError, ValueError):
                return None
            accepted = board["quota"] - board["places_left"]
            recorded = len(self._store.rows(self._gateway.wave))
            if recorded >= accepted or time.monotonic() > deadline_s:
                return board
            time.sleep(0.5)

    def _verify(self) -> bool:
        """Have everybody's own tool say whether the draw was fair."""
        command = [sys.executable, "-m", "gateway", "verify-draw", "--all"]
        command += ["--board", self._gateway.board_url]
        try:
            done = subprocess.run(command, check=False, capture_output=True, timeout=VERIFY_S_MAX)  # noqa: S603
        except subprocess.TimeoutExpired:
            return False
        return done.returncode == 0


def _draw(board: Mapping[str, Any] | None) -> Draw | None:
    seed = board and board["draw"]["seed"]
    return Draw(bytes.fromhex(seed), board["cohort"]) if board and seed else None


if __name__ == "__main__":
    sys.exit(main())
