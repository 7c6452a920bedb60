"""A whole gateway on another store, with sealed forms: I-1, I-6, I-40."""

import asyncio
import json
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.adapters.registration_service import RegistrationService, serving
from tests.applicants import Applicant, call, nik
from tests.contract.store_benches import a_database, rows_of_database
from tests.gateways import RunningGateway, a_gateway
from tests.postgres_server import OwnPostgres
from tests.support import wait_for
from tests.valkeys import OwnValkey

pytestmark = pytest.mark.timeout(120)


def registered(gateway: RunningGateway) -> tuple[str, dict[str, str]]:
    """Lead one applicant to the end; return the receipt, and what was filled in."""
    applicant = Applicant(gateway.public_url, gateway.wave, person=1)
    applicant.join()
    applicant.wait_for_turn()
    applicant.claim()
    status, document = applicant.register()
    assert status == 201
    wait_for(lambda: applicant.receipt_state() == "recorded", what="recorded")
    return str(document["receipt"]), {"nik": nik(1)}


def kept_by_redis(gateway: RunningGateway) -> bytes:
    log = gateway.folder / "data" / "valkey" / "appendonlydir"
    return b"".join(file.read_bytes() for file in log.iterdir())


def test_forms_go_sealed_through_redis_into_postgresql(
    postgres: Callable[[], OwnPostgres], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = postgres()

    async def run() -> None:
        async with a_database(server) as name:
            monkeypatch.setenv("GATEWAY_STORE_URL", server.url(name))
            monkeypatch.setenv("GATEWAY_INTAKE_ENCRYPT", "true")
            receipt, form = await asyncio.to_thread(lead)
            (line,) = await rows_of_database(server.url(name))
            assert line["receipt"] == receipt
            assert json.loads(line["payload"])["nik"] == form["nik"]

    def lead() -> tuple[str, dict[str, str]]:
        with a_gateway(quota=5) as gateway:
            receipt, form = registered(gateway)
            kept = kept_by_redis(gateway)
            assert receipt.encode() in kept
            assert form["nik"].encode() not in kept
            assert (gateway.folder / "data/secrets/payload-trial.key").stat().st_mode & 0o077 == 0
        return receipt, form

    asyncio.run(run())


@contextmanager
def a_service() -> Iterator[RegistrationService]:
    """Run a registration service beside the test."""
    service, started, stop = RegistrationService(), threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()

    async def run() -> None:
        async with serving(service):
            started.set()
            await stop.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(run(),))
    thread.start()
    assert started.wait(10)
    try:
        yield service
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        loop.close()


def test_registrations_go_to_a_service_and_leave_no_form_here(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with a_service() as service:
        monkeypatch.setenv("GATEWAY_STORE_URL", service.url)
        monkeypatch.setenv("GATEWAY_STORE_POST", "single")
        monkeypatch.setenv("GATEWAY_STORE_BATCH_MAX", "20")
        with a_gateway(quota=5) as gateway:
            receipt, form = registered(gateway)
            assert json.loads(service.rows.rows[receipt].payload)["nik"] == form["nik"]
            ledger = gateway.folder / "data" / "ledger.db"
            assert _receipts(ledger) == [receipt]
            assert not gateway.store_file.exists()
    files = [file for file in ledger.parent.glob("ledger.db*") if file.is_file()]
    assert form["nik"].encode() not in b"".join(file.read_bytes() for file in files)


def test_a_lost_room_is_put_back_from_what_is_kept_of_a_service(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """I-8, I-10: the person still counts, and the same content still gets the same receipt."""
    valkey = OwnValkey()
    valkey.start()
    with a_service() as service:
        monkeypatch.setenv("GATEWAY_STORE_URL", service.url)
        with a_gateway(quota=5, redis_url=valkey.url) as gateway:
            receipt, form = registered(gateway)
            with valkey.client() as client:
                client.flushall()
            twin = Applicant(gateway.public_url, gateway.wave, person=1)
            twin.join()  # once the room takes people again
            twin.wait_for_turn()
            twin.claim()
            other = {**form, "name": "Somebody Else"}
            status, problem = call(twin.url("registrations"), "POST", other, twin.held)
            assert (status, problem["type"].rsplit("/", 1)[1]) == (409, "already-registered")
            status, document = twin.register()
            assert (status, document["receipt"]) == (201, receipt)
            assert list(service.rows.rows) == [receipt]
    valkey.kill()


def _receipts(ledger: Path) -> list[str]:
    db = sqlite3.connect(f"file:{ledger}?mode=ro", uri=True)
    try:
        return [line[0] for line in db.execute("SELECT receipt FROM recorded")]
    finally:
        db.close()
