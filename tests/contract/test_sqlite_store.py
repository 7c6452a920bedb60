"""What a store in a file promises beyond the suite: whose file it is, and when a commit is on disk."""

import asyncio
import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from gateway.ports import PortUnavailableError
from gateway.stores import sqlite
from gateway.stores.sqlite import SqliteStore
from gateway.stores.sqlite_file import JOBS_MAX
from tests.contract.store_benches import (
    DUPLICATE,
    RECORDED,
    other_connection,
    persist,
    recordings,
    row,
    rows_of,
)


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
        found = await store._file.run(
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
from tests.contract.store_benches import SqliteStore, row

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
        await store._file.run(lambda db: db.execute("PRAGMA max_page_count = 20").fetchone())
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
        jobs = [
            asyncio.create_task(store._file.run(lambda _: hanging.wait())) for _ in range(JOBS_MAX)
        ]
        await asyncio.sleep(0)
        jobs[3].cancel()
        await asyncio.gather(jobs[3], return_exceptions=True)
        jobs[3] = asyncio.create_task(store._file.run(lambda _: True))
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
        schema = sqlite.REGISTRATIONS.replace("UNIQUE (programme_id, person)", "CHECK (1)")
        assert schema != sqlite.REGISTRATIONS
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


async def test_an_older_schema_is_brought_up_with_all_that_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "r.db"
    async with opened(path) as store:
        await store.put([row(1)])
    with other_connection(path) as db:
        db.executescript("DROP TABLE fences; PRAGMA user_version = 1")
    async with opened(path) as one, opened(path) as other:
        await asyncio.gather(one.put([row(2)]), other.put([row(3)]))
        assert await one.raise_fence("prakerja") > 0
    assert rows_of(path).keys() == {"R1", "R2", "R3"}


async def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "r.db"
    async with opened(path) as store:
        await store.put([row(1)])
    with other_connection(path) as db:
        db.execute("PRAGMA user_version = 3")
    async with opened(path) as store:
        with pytest.raises(PortUnavailableError, match="newer gateway"):
            await store.put([row(2)])
