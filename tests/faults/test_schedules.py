"""A few schedules of every family of faults, and the seeded bugs that prove the checker, end to end.

`make faults` runs hundreds; these are the same, from fixed seeds.
"""

import concurrent.futures
from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.faults.bugs import BUGS, HUNTS, shows
from tests.faults.postgres import why_not
from tests.faults.processes import CONTEXT
from tests.faults.runner import Report, run
from tests.faults.schedules import Fault, Kind, Schedule, Store, Terms, kinds_of, make

pytestmark = pytest.mark.timeout(240)

JOBS = 4
FAMILIES = {
    "processes killed": (Kind.KILL_SERVE, Kind.KILL_DELIVER),
    "processes stopped": (Kind.STOP_SERVE, Kind.STOP_DELIVER, Kind.STOP_VALKEY),
    "Valkey held still": (Kind.PAUSE_VALKEY, Kind.SLEEP_VALKEY, Kind.KILL_VALKEY),
    "links": (Kind.LINK_SLOW, Kind.LINK_HANG, Kind.LINK_CUT, Kind.LINK_CUT_REPLIES),
    "answers lost": (Kind.ANSWERS_LOST,),
    "the store": (Kind.STORE_LOCKED, Kind.STORE_DOWN, Kind.STORE_ERRS, Kind.DELIVER_DIES),
    "power": (Kind.POWER_LOSS,),
    "resources": (Kind.DESCRIPTORS, Kind.DISK_FULL),
    "clocks": (Kind.CLOCK_BACK, Kind.CLOCK_FORWARD),
    "Redis forgets": (Kind.EMPTIED, Kind.ROLLED_BACK),
}
ON_POSTGRESQL = {
    "the server ends": (Kind.KILL_STORE, Kind.STORE_DOWN),
    "the server holds still": (Kind.STOP_STORE, Kind.STORE_LOCKED, Kind.DELIVER_DIES),
}
QUICK_BUGS = ("everysec", "new-receipt-on-repeat", "run-ignored", "fence-ignored")


def _unharmed(bug: str, store: Store = Store.SQLITE) -> Schedule:
    """Return what shows a bug, without the bug."""
    return replace(BUGS[bug].schedule(), bug="", store=store)


def _in_hand(store: Store) -> Schedule:
    """Return what empties Redis while a batch waits for the store."""
    faults = Fault(1.3, Kind.STORE_DOWN, 0, 5.5), Fault(2.2, Kind.EMPTIED, 0, 0.0)
    terms = Terms(applicants=40, quota=16, burst=6)
    return Schedule(0, terms, faults, store=store)


# The front door that is held still had given numbers that nobody else knew.
STILL = Fault(0.54, Kind.STOP_SERVE, 0, 1.04), Fault(0.71, Kind.ROLLED_BACK, 0, 0.81)
DIRECTED = {
    "Redis forgets, and a front door is held still": Schedule(306, make(306).terms, STILL),
    "Redis forgets, and all who ask it were just started": _unharmed("run-ignored"),
    "Redis forgets what delivery has in hand": _in_hand(Store.SQLITE),
    "Redis forgets while a delivery sleeps": _unharmed("fence-ignored"),
}
DIRECTED_ON_POSTGRESQL = {
    "the same of what waits for PostgreSQL": _in_hand(Store.POSTGRESQL),
    "the same while PostgreSQL is away": _unharmed("fence-ignored", Store.POSTGRESQL),
}
EVERYWHERE = (*FAMILIES, *DIRECTED)
WITH_A_SERVER = (*ON_POSTGRESQL, *DIRECTED_ON_POSTGRESQL)


def of_family(name: str) -> Schedule:
    """Return the schedule of a family: its kinds one after the other, overlapping; or one of its own."""
    if directed := (DIRECTED | DIRECTED_ON_POSTGRESQL).get(name):
        return directed
    kinds = (FAMILIES | ON_POSTGRESQL)[name]
    begin_s = 0.2 if name == "clocks" else 1.2  # before the opening, or after it
    faults = [Fault(round(begin_s + 0.6 * n, 1), kind, n, 0.6) for n, kind in enumerate(kinds)]
    store = Store.POSTGRESQL if name in ON_POSTGRESQL else Store.SQLITE
    return Schedule(len(name), make(len(name)).terms, tuple(faults), store=store)


@pytest.fixture(scope="module")
def reports() -> Iterator[dict[str, "concurrent.futures.Future[Report]"]]:
    """Yield the reports of all, as they come."""
    with concurrent.futures.ProcessPoolExecutor(JOBS, mp_context=CONTEXT) as pool:
        bugs = {name: pool.submit(run, BUGS[name].schedule()) for name in QUICK_BUGS}
        families = [*EVERYWHERE, *(WITH_A_SERVER if not why_not() else ())]
        yield bugs | {name: pool.submit(run, of_family(name)) for name in families}


@pytest.mark.parametrize("family", [*EVERYWHERE, *WITH_A_SERVER])
def test_every_promise_holds_under(
    reports: dict[str, "concurrent.futures.Future[Report]"], family: str
) -> None:
    if family not in reports:
        pytest.skip("no PostgreSQL runs on this machine")
    report = reports[family].result()
    assert not report.broken, f"{report.broken}; kept in {report.folder}"
    assert report.acknowledged > 0


@pytest.mark.parametrize("bug", QUICK_BUGS)
def test_a_seeded_bug_is_found(
    reports: dict[str, "concurrent.futures.Future[Report]"], bug: str
) -> None:
    told = [reports[bug].result()]
    # Processes are real, and a machine that is slow today may let the moment pass in which the bug shows.
    while not shows(bug, told[-1].broken) and len(told) < HUNTS:
        with concurrent.futures.ProcessPoolExecutor(1, mp_context=CONTEXT) as pool:
            told.append(pool.submit(run, BUGS[bug].schedule()).result())
    assert shows(bug, told[-1].broken), told


def test_a_schedule_follows_from_its_seed_alone() -> None:
    for store in Store:
        first, second = ([make(seed, (), store) for seed in range(50)] for _ in range(2))
        assert first == second


@pytest.mark.parametrize("store", Store)
def test_consecutive_seeds_reach_every_kind(store: Store) -> None:
    kinds = kinds_of(store)
    assert set().union(*(make(seed, (), store).kinds for seed in range(len(kinds)))) == set(kinds)
