"""What a store in PostgreSQL promises beyond the suite: rights, constraints of others, deadlines, outages."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from importlib.resources import files
from itertools import count
from typing import Any

import asyncpg
import pytest

from gateway.ports import FencedError, PortUnavailableError
from gateway.stores.postgres import PostgresStore
from gateway.stores.postgres_pool import CONNECTIONS_MAX, STEPS
from tests.contract.store_benches import (
    DUPLICATE,
    RECORDED,
    REJECTED,
    a_database,
    columns,
    persist,
    recordings,
    row,
    rows_of_database,
)
from tests.postgres_server import OwnPostgres
from tests.support import wait_until

SCHEMAS = [files("gateway.stores").joinpath(step).read_text("utf-8") for step in STEPS]
SCHEMA = "".join(SCHEMAS)
GRANTS = """
GRANT SELECT ON gateway_schema TO gateway;
GRANT SELECT, INSERT ON registrations TO gateway;
GRANT SELECT, INSERT, UPDATE ON checkpoints, fences TO gateway;
"""
CANARY = "Siti-Canary-3201014507900007"


class Database:
    """One database and those who use it."""

    def __init__(self, server: OwnPostgres, name: str, owner: Any) -> None:
        self.server, self.name, self.owner = server, name, owner
        self.stores: list[PostgresStore] = []

    def store(self, user: str = "owner", *, deadline_s: float = 10.0, **said: Any) -> PostgresStore:
        url = said.pop("url", None) or self.server.url(self.name, user)
        store = PostgresStore(url, now_us=count(1).__next__, deadline_s=deadline_s, **said)
        self.stores.append(store)
        return store

    async def rows(self) -> set[str]:
        return {line[0] for line in await rows_of_database(self.server.url(self.name))}


@pytest.fixture
async def database(postgres: Callable[[], OwnPostgres]) -> AsyncIterator[Database]:
    server = postgres()
    async with a_database(server) as name:
        made = Database(server, name, await asyncpg.connect(server.url(name)))
        yield made
        for store in made.stores:
            await store.close()
        await made.owner.close()


@pytest.fixture
async def role(database: Database) -> AsyncIterator[str]:
    """Yield a role that may read and insert, on tables that their owner has made."""
    await database.owner.execute(f"CREATE ROLE gateway LOGIN PASSWORD 'hunter2'; {SCHEMA}{GRANTS}")
    yield "gateway"
    await database.owner.execute("DROP OWNED BY gateway; DROP ROLE gateway")


async def test_the_right_to_read_and_insert_is_enough(database: Database, role: str) -> None:
    assert GRANTS.strip().replace("\n", "") in SCHEMA.replace("--     ", "").replace(
        "   -- they hold no personal data", ""
    ).replace("\n", ""), "the grants that the file names are those tested here"
    store = database.store(role)
    for _ in range(2):
        await store.probe()
    assert await recordings(store, row(1), row(2, person=1)) == [RECORDED, DUPLICATE]
    await store.save_checkpoints({"w": "1"})
    await store.save_checkpoints({"w": "2"})
    assert await store.checkpoints() == {"w": "2"}
    assert await database.rows() == {"R1"}
    right = "SELECT has_table_privilege('gateway', 'registrations', 'UPDATE, DELETE, TRUNCATE')"
    assert await database.owner.fetchval(right) is False


@pytest.mark.parametrize("table", ["registrations", "checkpoints", "fences"])
async def test_a_right_that_is_missing_is_found_by_the_probe(
    database: Database, role: str, table: str
) -> None:
    await database.owner.execute(f"REVOKE INSERT, UPDATE ON {table} FROM gateway")
    with pytest.raises(PortUnavailableError):
        await database.store(role).probe()


async def test_a_probe_of_the_owner_is_a_real_commit_and_leaves_nothing(database: Database) -> None:
    store = database.store()
    await store.probe()
    before = await database.owner.fetchval("SELECT pg_current_wal_lsn()")
    await store.probe()
    assert await database.owner.fetchval("SELECT pg_current_wal_lsn()") > before
    assert await database.rows() == set()


@pytest.mark.parametrize("attempt", range(5))
async def test_processes_that_start_at_once_make_one_schema(
    database: Database, attempt: int
) -> None:
    stores = [database.store() for _ in range(6)]
    await asyncio.gather(*(store.probe() for store in stores))
    assert await database.owner.fetch("SELECT version FROM gateway_schema") == [(2,)]


async def test_another_schema_is_refused_and_left_as_it_is(database: Database) -> None:
    await database.owner.execute(f"{SCHEMA} UPDATE gateway_schema SET version = 3")
    with pytest.raises(PortUnavailableError, match="schema 3 is not 2"):
        await database.store().put([row(1)])
    assert await database.rows() == set()


async def test_an_older_schema_is_brought_up_with_all_that_it_holds(database: Database) -> None:
    await database.store().put([row(1)])
    await database.owner.execute("DROP TABLE fences; UPDATE gateway_schema SET version = 1")
    stores = [database.store() for _ in range(6)]
    await asyncio.gather(*(store.put([row(serial)]) for serial, store in enumerate(stores, 2)))
    assert await database.rows() == {f"R{serial}" for serial in range(1, 8)}
    assert await database.owner.fetch("SELECT version FROM gateway_schema") == [(2,)]


async def test_where_an_older_schema_is_somebody_elses_its_owner_is_told_what_to_run(
    database: Database, role: str
) -> None:
    await database.owner.execute("DROP TABLE fences; UPDATE gateway_schema SET version = 1")
    store = database.store(role)
    with pytest.raises(PortUnavailableError, match=r"owner run gateway/stores/postgres-2\.sql"):
        await store.probe()
    await database.owner.execute(f"{SCHEMAS[1]} {GRANTS}")
    assert await recordings(store, row(1)) == [RECORDED]


async def test_a_batch_under_way_is_waited_for_by_whoever_raises_the_fence(
    database: Database,
) -> None:
    """I-8: what it commits is counted."""
    store = database.store()
    await store.probe()
    await database.owner.execute(
        "CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " PERFORM pg_sleep(0.5); RETURN new; END $$;"
        "CREATE TRIGGER t BEFORE INSERT ON registrations FOR EACH ROW EXECUTE FUNCTION dawdle()"
    )
    putting = asyncio.create_task(recordings(store, row(1)))
    asleep = "SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
    await wait_until(lambda: database.owner.fetchval(asleep), what="it is under way")
    await database.store().raise_fence("prakerja")
    assert await database.rows() == {"R1"}
    assert await putting == [RECORDED]
    with pytest.raises(FencedError):
        await store.put([row(2)])


async def test_a_database_that_cannot_hold_every_name_is_refused(database: Database) -> None:
    name = f"{database.name}_latin"
    made = f"CREATE DATABASE {name} ENCODING LATIN1 LOCALE 'C' TEMPLATE template0"
    await database.owner.execute(made)
    store = database.store(url=database.server.url(name))
    with pytest.raises(PortUnavailableError, match="must be UTF8"):
        await store.probe()
    await store.close()
    await database.owner.execute(f"DROP DATABASE {name} WITH (FORCE)")


OBJECTIONS = {
    "a constraint": (
        "ALTER TABLE registrations ADD CHECK (serial <> 9)",
        "constraint",
    ),
    "a constraint checked at the end": (
        """CREATE TABLE waves (id text PRIMARY KEY); INSERT INTO waves VALUES ('prakerja-1');
        ALTER TABLE registrations ADD FOREIGN KEY (wave_id) REFERENCES waves
        DEFERRABLE INITIALLY DEFERRED""",
        "constraint",
    ),
    "a trigger": (
        """CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS
        'BEGIN IF NEW.serial = 9 THEN RAISE ''no %'', NEW.payload; END IF; RETURN NEW; END';
        CREATE TRIGGER no BEFORE INSERT ON registrations FOR EACH ROW EXECUTE FUNCTION no()""",
        "constraint",
    ),
    "a trigger's own assertion": (
        """CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS
        'BEGIN ASSERT NEW.serial <> 9; RETURN NEW; END';
        CREATE TRIGGER no BEFORE INSERT ON registrations FOR EACH ROW EXECUTE FUNCTION no()""",
        "constraint",
    ),
    "a trigger's word of its own": (
        """CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN
        IF NEW.serial = 9 THEN RAISE ''no'' USING ERRCODE = ''KP001''; END IF; RETURN NEW; END';
        CREATE TRIGGER no BEFORE INSERT ON registrations FOR EACH ROW EXECUTE FUNCTION no()""",
        "constraint",
    ),
    "a trigger that says nothing": (
        """CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS
        'BEGIN IF NEW.serial = 9 THEN RETURN NULL; END IF; RETURN NEW; END';
        CREATE TRIGGER no BEFORE INSERT ON registrations FOR EACH ROW EXECUTE FUNCTION no()""",
        "not-kept",
    ),
}


@pytest.mark.parametrize("objection", OBJECTIONS)
async def test_what_the_owner_objects_to_is_refused_alone(
    database: Database, objection: str
) -> None:
    """F-15."""
    made, reason = OBJECTIONS[objection]
    await database.owner.execute(f"{SCHEMA} {made}")
    bad = {3, 150, 151, 499}
    batch = [
        replace(row(n), serial=9, wave_id="nowhere") if n in bad else row(n) for n in range(500)
    ]
    outcomes = await database.store().put(batch)
    assert {int(o.receipt[1:]) for o in outcomes if o.recording is REJECTED} == bad
    assert {outcome.reason for outcome in outcomes} == {"", reason}
    assert len(await database.rows()) == 496


async def test_a_right_that_was_taken_away_is_not_the_rows_fault(
    database: Database, role: str
) -> None:
    await database.owner.execute("REVOKE INSERT ON registrations FROM gateway")
    with pytest.raises(PortUnavailableError, match="42501"):
        await database.store(role).put([row(1)])


async def test_what_the_driver_says_of_a_row_is_not_repeated(database: Database) -> None:
    """I-40."""
    await database.owner.execute(f"""{SCHEMA}
        CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN
        RAISE EXCEPTION ''%'', NEW.payload USING ERRCODE = ''53100'', DETAIL = NEW.payload; END';
        CREATE TRIGGER no BEFORE INSERT ON registrations FOR EACH ROW EXECUTE FUNCTION no()""")
    with pytest.raises(PortUnavailableError) as told:
        await database.store().put([row(1, payload=b'{"name":"%s"}' % CANARY.encode())])
    assert str(told.value) == "PostgreSQL: DiskFullError (53100)"
    assert told.value.__cause__ is None
    assert told.value.__suppress_context__


async def test_a_commit_is_on_disk_whatever_the_role_is_set_to(database: Database) -> None:
    await database.owner.execute(
        f"ALTER DATABASE {database.name} SET synchronous_commit = off;"
        f"ALTER DATABASE {database.name} SET statement_timeout = 0"
    )
    async with database.store(deadline_s=5.0)._pool.transaction() as db:
        assert await db.fetchval("SHOW synchronous_commit") == "on"
        assert 0 < int((await db.fetchval("SHOW statement_timeout")).removesuffix("ms")) <= 5_000


async def test_a_batch_that_waits_for_another_ends_by_its_deadline_on_the_server_too(
    database: Database,
) -> None:
    """I-46, F-12."""
    store = database.store(deadline_s=0.5)
    await store.probe()
    async with database.owner.transaction():
        await database.owner.execute("LOCK TABLE registrations")
        began_s = time.monotonic()
        with pytest.raises(PortUnavailableError):
            await store.put([row(1)])
        assert time.monotonic() - began_s < 2.0
        waiting = (
            "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%unnest%' AND state = 'active'"
        )
        for _ in range(100):
            others = await database.owner.fetchval(f"{waiting} AND pid <> pg_backend_pid()")
            if others == 0:
                break
            await asyncio.sleep(0.02)
        assert others == 0
    assert await recordings(store, row(1)) == [RECORDED]


async def test_two_processes_with_the_same_rows_record_each_once(database: Database) -> None:
    """I-9: also when they meet in mid-transaction, in opposite orders."""
    one, two = database.store(), database.store()
    rows = [row(serial) for serial in range(200)]

    # After a deadlock one of them is told to come again.
    answers = await asyncio.gather(persist(one, *rows), persist(two, *rows[::-1]))
    assert list(answers) == [{RECORDED}, {RECORDED}]
    assert len(await database.rows()) == 200


async def test_connections_are_bounded_and_shared_from_the_first_call(database: Database) -> None:
    """I-45."""
    store = database.store()
    batches = [[row(10 * n + i) for i in range(5)] for n in range(24)]
    await asyncio.gather(*(recordings(store, *batch) for batch in batches))
    open_ = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
    assert await database.owner.fetchval(open_) <= CONNECTIONS_MAX + 1
    assert len(await database.rows()) == 120


async def test_a_server_that_comes_back_needs_no_restart_and_has_kept_what_it_told(
    database: Database,
) -> None:
    """F-11: stopped as by a power cut."""
    store = database.store()
    assert await recordings(store, row(1)) == [RECORDED]
    database.owner.terminate()
    database.server.stop()
    for call in (store.put([row(2)]), store.probe(), store.checkpoints()):
        with pytest.raises(PortUnavailableError):
            await call
    database.server.start()
    assert await recordings(store, row(1), row(2)) == [RECORDED] * 2
    assert await database.rows() == {"R1", "R2"}
    database.owner = await asyncpg.connect(database.server.url(database.name))


async def test_lost_constraints_are_found_by_the_probe(database: Database) -> None:
    store = database.store()
    await store.probe()
    await database.owner.execute(
        "ALTER TABLE registrations DROP CONSTRAINT registrations_programme_id_person_key"
    )
    with pytest.raises(PortUnavailableError, match="apart"):
        await store.probe()
    assert await database.rows() == set()


async def test_tls_that_is_asked_for_is_never_done_without(database: Database, role: str) -> None:
    url = database.server.tcp_url(database.name, role)
    for mode in ("require", "verify-full"):
        store = database.store(url=url.replace("disable", mode), password="hunter2")
        with pytest.raises(PortUnavailableError) as told:
            await store.probe()
        assert "hunter2" not in str(told.value)


async def test_the_password_comes_from_its_file(database: Database, role: str) -> None:
    url = database.server.tcp_url(database.name, role)
    await database.store(url=url, password="hunter2").probe()
    with pytest.raises(PortUnavailableError, match="InvalidPasswordError") as told:
        await database.store(url=url, password="hunter3").probe()
    assert "hunter" not in str(told.value)


async def test_a_form_is_kept_as_it_was_spelt(database: Database) -> None:
    """I-6: json, not jsonb."""
    payload = b'{"b":1.50,"a" : "\\u0000\\u00e9","b":2}'
    store = database.store()
    assert await recordings(store, row(1, payload=payload)) == [RECORDED]
    ((entry, _),) = await store.recorded_rows("prakerja", "", 9)
    assert columns(entry) == columns(row(1, payload=payload))
