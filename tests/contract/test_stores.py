"""One suite for every store: what ``StorePort`` promises, also when it is down and after a cut answer."""

import asyncio
import contextlib
import os
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from gateway.ports import IntakeEntry, PortUnavailableError, Recording, StorePort
from gateway.stores import sqlite
from gateway.stores.memory import MemoryStore
from gateway.stores.opening import StoreUrlError, open_store
from gateway.stores.sqlite import JOBS_MAX, SqliteStore
from tests.adapters.faults import Fault
from tests.adapters.store import FaultyStore

RECORDED, DUPLICATE, REJECTED = Recording.RECORDED, Recording.DUPLICATE, Recording.REJECTED
COLUMNS = "receipt, wave_id, programme_id, person, payload, accepted_at_us"


def row(serial: int, person: int | None = None, **changes: Any) -> IntakeEntry:
    entry = IntakeEntry(
        entry_id=f"{serial}-0",
        wave_id="prakerja-1",
        programme_id="prakerja",
        receipt=f"R{serial}",
        person=(serial if person is None else person).to_bytes(32, "big"),
        payload='{"name":"Siti é \\u0000 🙂","serial":%d}'.encode() % serial,
        accepted_at_us=1_586_606_400_000_000 + serial,
    )
    return replace(entry, **changes)


Row = tuple[str, str, str, bytes, bytes, int]


@dataclass
class Bench:
    """One store and the hands of its test."""

    store: StorePort
    rows: Callable[[], dict[str, Row]]  # by receipt
    down: Callable[[], Any]  # context manager
    cut: Callable[[], None]  # the next put commits, and its answer is lost
    recorded_at_us: Callable[[str], int]


def memory_bench(_folder: Path, _patch: pytest.MonkeyPatch) -> Bench:
    inner = MemoryStore(count(1).__next__)
    faults: list[Fault] = []

    @contextmanager
    def down() -> Iterator[None]:
        inner.is_down = True
        yield
        inner.is_down = False

    return Bench(
        FaultyStore(inner, lambda: faults.pop() if faults else Fault.NONE),
        lambda: {receipt: columns(entry) for receipt, entry in inner.rows.items()},
        down,
        lambda: faults.append(Fault.AFTER),
        inner.recorded_at_us.__getitem__,
    )


def columns(entry: IntakeEntry) -> Row:
    return (
        *(entry.receipt, entry.wave_id, entry.programme_id),
        *(entry.person, entry.payload, entry.accepted_at_us),
    )


class CutConnection(sqlite3.Connection):
    """Commits, then fails, once."""

    cuts = 0

    def execute(self, sql: str, *args: Any) -> sqlite3.Cursor:
        cursor = super().execute(sql, *args)
        if sql == "COMMIT" and CutConnection.cuts:
            CutConnection.cuts -= 1
            raise sqlite3.OperationalError("disk I/O error")
        return cursor


def sqlite_bench(folder: Path, patch: pytest.MonkeyPatch) -> Bench:
    path = folder / "data" / "registrations.db"
    patch.setattr(sqlite3, "connect", partial(sqlite3.connect, factory=CutConnection))
    store = SqliteStore(path, now_us=count(1).__next__, busy_timeout_ms=50)

    @contextmanager
    def down() -> Iterator[None]:
        path.parent.mkdir(exist_ok=True)
        with other_connection(path) as db:
            db.execute("BEGIN EXCLUSIVE")
            yield
            db.execute("ROLLBACK")

    def recorded_at_us(receipt: str) -> int:
        with other_connection(path) as db:
            query = "SELECT recorded_at_us FROM registrations WHERE receipt = ?"
            instant_us: int = db.execute(query, (receipt,)).fetchone()[0]
        return instant_us

    def cut() -> None:
        CutConnection.cuts = 1

    return Bench(store, lambda: rows_of(path), down, cut, recorded_at_us)


@contextmanager
def other_connection(path: Path) -> Iterator[sqlite3.Connection]:
    db = sqlite3.Connection(path, isolation_level=None)
    try:
        yield db
    finally:
        db.close()


def rows_of(path: Path) -> dict[str, Row]:
    with other_connection(path) as db:
        found = db.execute(f"SELECT {COLUMNS} FROM registrations").fetchall()
    return {line[0]: (*line[:4], line[4].encode(), line[5]) for line in found}


@pytest.fixture(params=[memory_bench, sqlite_bench], ids=["memory", "sqlite"])
async def bench(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Bench]:
    made: Bench = request.param(tmp_path, monkeypatch)
    await made.store.probe()
    yield made
    await made.store.close()


async def recordings(store: StorePort, *rows: IntakeEntry) -> list[Recording]:
    outcomes = await store.put(rows)
    assert [outcome.receipt for outcome in outcomes] == [entry.receipt for entry in rows]
    assert all(bool(out.reason) == (out.recording is REJECTED) for out in outcomes)
    return [outcome.recording for outcome in outcomes]


# --- every store ------------------------------------------------------------------------------------


async def test_what_was_acknowledged_is_kept_byte_for_byte(bench: Bench) -> None:
    rows = [row(serial) for serial in range(1, 501)]
    assert await recordings(bench.store, *rows) == [RECORDED] * 500
    assert bench.rows() == {entry.receipt: columns(entry) for entry in rows}


async def test_standing_tells_which_receipts_have_a_row(bench: Bench) -> None:
    """F-14: a store that says OK and forgets is found out by asking for the rows."""
    rows = [row(1), row(2, person=1), row(3)]
    assert await bench.store.standing([each.receipt for each in rows]) == set()
    await bench.store.put(rows)
    asked = [each.receipt for each in rows] + ["never-sent", "it's \" quoted"]
    assert await bench.store.standing(asked) == {rows[0].receipt, rows[2].receipt}
    assert await bench.store.standing([]) == set()


async def test_an_empty_batch_is_no_error(bench: Bench) -> None:
    assert await recordings(bench.store) == []


async def test_a_row_sent_again_is_recorded_once_and_stays_as_it_was(bench: Bench) -> None:
    await recordings(bench.store, row(1))
    instant_us = bench.recorded_at_us("R1")
    again = replace(row(1), entry_id="9-9", deliveries=3, accepted_at_us=5)
    assert await recordings(bench.store, again, row(2), row(2)) == [RECORDED] * 3
    assert bench.rows() == {"R1": columns(row(1)), "R2": columns(row(2))}
    assert bench.recorded_at_us("R1") == instant_us


async def test_a_person_registers_once_in_a_programme_whatever_the_wave(bench: Bench) -> None:
    await recordings(bench.store, row(1, person=7))
    other_wave = row(2, person=7, wave_id="prakerja-2")
    other_programme = row(3, person=7, programme_id="other", wave_id="other-1")
    in_the_same_batch = row(4, person=7, programme_id="other", wave_id="other-2")
    answers = await recordings(bench.store, other_wave, other_programme, in_the_same_batch)
    assert answers == [DUPLICATE, RECORDED, DUPLICATE]
    assert bench.rows().keys() == {"R1", "R3"}


async def test_a_duplicate_stays_one_when_it_is_sent_again(bench: Bench) -> None:
    await recordings(bench.store, row(1, person=7))
    for _ in range(3):
        assert await recordings(bench.store, row(2, person=7)) == [DUPLICATE]


@pytest.mark.parametrize(
    "change",
    [
        {"person": bytes(32)},
        {"payload": b'{"name":"another"}'},
        {"wave_id": "prakerja-2"},
        {"programme_id": "other"},
    ],
    ids=lambda change: next(iter(change)),
)
async def test_a_receipt_never_stands_for_two_registrations(
    bench: Bench, change: dict[str, Any]
) -> None:
    await recordings(bench.store, row(1))
    (outcome,) = await bench.store.put(
        [row(1, **change)] if "person" not in change else [replace(row(1), **change)]
    )
    assert (outcome.recording, outcome.reason) == (REJECTED, "receipt-taken")
    assert bench.rows() == {"R1": columns(row(1))}


MISFITS: dict[str, dict[str, Any]] = {
    "no receipt": {"receipt": ""},
    "receipt not ASCII": {"receipt": "\ud800"},
    "no wave": {"wave_id": ""},
    "no programme": {"programme_id": ""},
    "short person": {"person": b"x" * 31},
    "payload not UTF-8": {"payload": b'{"name":"\xff"}'},
    "payload no JSON": {"payload": b"{"},
    "payload with a NUL": {"payload": b"{}\x00"},
    "payload NaN": {"payload": b'{"a":NaN}'},
    "payload too deep": {"payload": b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"},
    "payload no form": {"payload": b"[]"},
    "empty payload": {"payload": b""},
    "instant too large": {"accepted_at_us": 2**63},
    "instant negative": {"accepted_at_us": -1},
}


@pytest.mark.parametrize("misfit", MISFITS)
async def test_a_row_that_never_fits_is_refused_with_a_reason_and_alone(
    bench: Bench, misfit: str
) -> None:
    bad = replace(row(2), **MISFITS[misfit])
    outcomes = await bench.store.put([row(1), bad, row(3)])
    assert [outcome.recording for outcome in outcomes] == [RECORDED, REJECTED, RECORDED]
    assert outcomes[1].reason.endswith("-invalid")
    assert bench.rows().keys() == {"R1", "R3"}


async def test_down_nothing_is_done_and_the_same_batch_may_be_sent_again(bench: Bench) -> None:
    await recordings(bench.store, row(1))
    with bench.down():
        with pytest.raises(PortUnavailableError):
            await bench.store.put([row(2), row(3)])
        with pytest.raises(PortUnavailableError):
            await bench.store.probe()
    assert bench.rows().keys() == {"R1"}
    await bench.store.probe()
    assert await recordings(bench.store, row(2), row(3)) == [RECORDED] * 2


async def test_failing_after_the_commit_the_repetition_is_recorded_once(bench: Bench) -> None:
    bench.cut()
    with pytest.raises(PortUnavailableError):
        await bench.store.put([row(1), row(2, person=1)])
    assert bench.rows().keys() == {"R1"}
    assert await recordings(bench.store, row(1), row(2, person=1)) == [RECORDED, DUPLICATE]
    assert bench.rows() == {"R1": columns(row(1))}


async def test_a_probe_leaves_nothing_behind(bench: Bench) -> None:
    for _ in range(3):
        await bench.store.probe()
    assert bench.rows() == {}


async def test_batches_at_the_same_time_do_not_mix(bench: Bench) -> None:
    batches = [[row(10 * batch + index) for index in range(5)] for batch in range(4)]
    answers = await asyncio.gather(*(recordings(bench.store, *batch) for batch in batches))
    assert answers == [[RECORDED] * 5] * 4
    assert len(bench.rows()) == 20


async def test_closed_it_is_down_and_closing_again_is_no_error(bench: Bench) -> None:
    await bench.store.close()
    await bench.store.close()
    with pytest.raises(PortUnavailableError):
        await bench.store.put([row(1)])


# --- SQLite -----------------------------------------------------------------------------------------


@asynccontextmanager
async def opened(path: Path, **options: Any) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(path, now_us=count(1).__next__, **options)
    try:
        yield store
    finally:
        await store.close()


async def test_the_files_are_for_our_eyes_only(tmp_path: Path) -> None:
    path = tmp_path / "data" / "registrations.db"
    path.parent.mkdir()
    path.touch(0o644)
    path.chmod(0o644)
    async with opened(path) as store:
        await store.put([row(1)])
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert modes == dict.fromkeys(
        ["registrations.db", "registrations.db-wal", "registrations.db-shm"], 0o600
    )


async def test_every_commit_is_on_disk_before_it_is_told(tmp_path: Path) -> None:
    async with opened(tmp_path / "r.db") as store:
        found = await store._run(
            lambda db: {
                name: db.execute(f"PRAGMA {name}").fetchone()[0]
                for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
            }
        )
    assert found == {
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
        "busy_timeout": 5000,
    }


WRITER = """
import asyncio, sys
from pathlib import Path
from tests.contract.test_stores import SqliteStore, row

async def main():
    store, serial = SqliteStore(Path(sys.argv[1]), now_us=lambda: 1), 0
    while True:
        batch = [row(serial + index) for index in range(20)]
        await store.put(batch)
        serial += 20
        print(serial, flush=True)

asyncio.run(main())
"""


def test_a_writer_killed_at_any_instant_loses_nothing_it_told(tmp_path: Path) -> None:
    path, told = tmp_path / "r.db", 0
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout
        while told < 400:
            told = int(writer.stdout.readline())
        os.kill(writer.pid, signal.SIGKILL)
        told = max([told, *map(int, writer.stdout.read().split())])
    kept = rows_of(path)
    assert {f"R{serial}" for serial in range(told)} <= kept.keys()
    assert len(kept) % 20 == 0, "half a batch was kept"


async def persist(store: StorePort, *rows: IntakeEntry) -> set[Recording]:
    """Send the batch again while the store is down, as delivery does."""
    for _ in range(20):
        with contextlib.suppress(PortUnavailableError):
            return set(await recordings(store, *rows))
    raise AssertionError("the store stayed down")


@pytest.mark.parametrize("attempt", range(20))
async def test_two_processes_may_make_and_share_one_file(tmp_path: Path, attempt: int) -> None:
    async with opened(tmp_path / "r.db") as one, opened(tmp_path / "r.db") as two:
        answers = await asyncio.gather(
            persist(one, *(row(serial) for serial in range(20))),
            persist(two, *(row(1_000 + serial, serial) for serial in range(20))),
        )
    assert sorted(answers, key=str) == [{DUPLICATE}, {RECORDED}]
    assert len(rows_of(tmp_path / "r.db")) == 20


async def test_a_disk_that_comes_back_needs_no_restart(tmp_path: Path) -> None:
    path = tmp_path / "mount" / "data" / "r.db"
    async with opened(path) as store:
        with pytest.raises(PortUnavailableError, match="No such file"):
            await store.probe()
        path.parent.parent.mkdir()
        assert await recordings(store, row(1)) == [RECORDED]


async def test_a_full_disk_is_an_outage_and_passes(tmp_path: Path) -> None:
    path = tmp_path / "r.db"
    big = [row(serial, payload=b'{"a":"%s"}' % (b"x" * 4_000)) for serial in range(200)]
    async with opened(path) as store:
        await store.put([row(1_000)])
        await store._run(lambda db: db.execute("PRAGMA max_page_count = 20").fetchone())
        with pytest.raises(PortUnavailableError, match="full"):
            await store.put(big)
        assert rows_of(path).keys() == {"R1000"}
        assert set(await recordings(store, *big)) == {RECORDED}


async def test_a_cancelled_put_may_be_sent_again(tmp_path: Path) -> None:
    async with opened(tmp_path / "r.db") as store:
        await store.probe()
        for serial in range(20):
            task = asyncio.create_task(store.put([row(serial)]))
            await asyncio.sleep(0.0001 * serial)  # before, within and after the transaction
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            assert await recordings(store, row(serial)) == [RECORDED]
        assert len(rows_of(tmp_path / "r.db")) == 20


async def test_a_disk_that_hangs_collects_no_endless_queue(tmp_path: Path) -> None:
    hanging = threading.Event()
    async with opened(tmp_path / "r.db") as store:
        jobs = [asyncio.create_task(store._run(lambda _: hanging.wait())) for _ in range(JOBS_MAX)]
        await asyncio.sleep(0)
        jobs[-1].cancel()
        await asyncio.gather(jobs[-1], return_exceptions=True)
        jobs[-1] = asyncio.create_task(store._run(lambda _: True))
        await asyncio.sleep(0)
        with pytest.raises(PortUnavailableError, match="earlier batches"):
            await store.put([row(1)])
        hanging.set()
        assert all(await asyncio.gather(*jobs))
        assert await recordings(store, row(1)) == [RECORDED]


async def test_lost_constraints_are_found_by_the_probe(tmp_path: Path) -> None:
    path = tmp_path / "r.db"
    async with opened(path) as store:
        await store.probe()
    with other_connection(path) as db:
        schema = sqlite.SCHEMA.replace("UNIQUE (programme_id, person)", "CHECK (1)")
        assert schema != sqlite.SCHEMA
        db.executescript(f"DROP TABLE registrations; {schema}")
    async with opened(path) as store:
        with pytest.raises(PortUnavailableError, match="apart"):
            await store.probe()


async def test_a_strangers_file_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "r.db"
    with other_connection(path) as db:
        db.execute("CREATE TABLE accounts (name TEXT)")
    path.chmod(0o640)
    before = path.read_bytes()
    async with opened(path) as store:
        with pytest.raises(PortUnavailableError, match="is no registration store"):
            await store.put([row(1)])
    assert path.read_bytes() == before
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


async def test_what_is_no_database_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "r.db"
    path.write_text("not a database at all, " * 100)
    async with opened(path) as store:
        with pytest.raises(PortUnavailableError, match="not a database"):
            await store.put([row(1)])
    assert path.read_text() == "not a database at all, " * 100


async def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "r.db"
    async with opened(path) as store:
        await store.put([row(1)])
    with other_connection(path) as db:
        db.execute("PRAGMA user_version = 2")
    async with opened(path) as store:
        with pytest.raises(PortUnavailableError, match="newer gateway"):
            await store.put([row(2)])


# --- opening ----------------------------------------------------------------------------------------


async def test_a_url_names_its_file_and_opens_nothing_yet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for url, path in {
        "sqlite:///data/r.db": tmp_path / "data" / "r.db",
        f"sqlite:///{tmp_path}/s.db": tmp_path / "s.db",
    }.items():
        store = open_store(url)
        assert not path.exists()
        assert await recordings(store, row(1)) == [RECORDED]
        await store.close()
        assert rows_of(path).keys() == {"R1"}


@pytest.mark.parametrize(
    "url",
    [
        "",
        "registrations.db",
        "sqlite://host/r.db",
        "sqlite:///",
        "sqlite:///:memory:",
        "sqlite:///a\0b",
        "mysql://u:hunter2@h/db",
        "postgresql:///db",
        "SQLITE:///r.db",
    ],
)
def test_an_unknown_url_is_refused_without_repeating_its_secrets(url: str) -> None:
    with pytest.raises(StoreUrlError, match="use sqlite:///") as refused:
        open_store(url)
    assert "hunter2" not in str(refused.value)
