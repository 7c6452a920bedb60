"""One suite for every store: what ``StorePort`` and ``ArchivePort`` promise, in memory, SQLite, PostgreSQL
and behind HTTP; also when the store is down, stalls, or fails after the commit (I-3, I-6, I-9, F-11..F-13).
"""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.ports import FencedError, IntakeEntry, PortUnavailableError
from gateway.services.delivery import Delivery
from tests.adapters.intake import MemoryIntake, loop_us
from tests.contract.store_benches import (
    BENCHES,
    DUPLICATE,
    RECORDED,
    REJECTED,
    Bench,
    cancelled_after,
    columns,
    digest,
    persist,
    recordings,
    row,
)
from tests.postgres_server import OwnPostgres
from tests.services.delivery_world import WAVES, Meter
from tests.support import wait_until


@pytest.fixture(params=BENCHES)
async def bench(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    postgres: Callable[[], OwnPostgres],
) -> AsyncIterator[Bench]:
    async with BENCHES[request.param](tmp_path, monkeypatch, postgres) as made:
        await made.store.probe()
        yield made
        await made.store.close()


async def test_what_was_acknowledged_is_kept_byte_for_byte(bench: Bench) -> None:
    rows = [row(serial) for serial in range(1, 501)]
    assert await recordings(bench.store, *rows) == [RECORDED] * 500
    assert (await bench.rows()) == {entry.receipt: columns(entry) for entry in rows}


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
    instant_us = await bench.recorded_at_us("R1")
    again = replace(row(1), entry_id="9-9", deliveries=3, accepted_at_us=5)
    assert await recordings(bench.store, again, row(2), row(2)) == [RECORDED] * 3
    assert (await bench.rows()) == {"R1": columns(row(1)), "R2": columns(row(2))}
    assert await bench.recorded_at_us("R1") == instant_us


async def test_a_person_registers_once_in_a_programme_whatever_the_wave(bench: Bench) -> None:
    await recordings(bench.store, row(1, person=7))
    other_wave = row(2, person=7, wave_id="prakerja-2")
    other_programme = row(3, person=7, programme_id="other", wave_id="other-1")
    in_the_same_batch = row(4, person=7, programme_id="other", wave_id="other-2")
    answers = await recordings(bench.store, other_wave, other_programme, in_the_same_batch)
    assert answers == [DUPLICATE, RECORDED, DUPLICATE]
    assert (await bench.rows()).keys() == {"R1", "R3"}


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
    assert (await bench.rows()) == {"R1": columns(row(1))}


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
    "number too large": {"number": 2**63},
    "serial negative": {"serial": -1},
}


@pytest.mark.parametrize("misfit", MISFITS)
async def test_a_row_that_never_fits_is_refused_with_a_reason_and_alone(
    bench: Bench, misfit: str
) -> None:
    bad = replace(row(2), **MISFITS[misfit])
    outcomes = await bench.store.put([row(1), bad, row(3)])
    assert [outcome.recording for outcome in outcomes] == [RECORDED, REJECTED, RECORDED]
    assert outcomes[1].reason.endswith("-invalid")
    assert (await bench.rows()).keys() == {"R1", "R3"}


async def test_down_nothing_is_done_and_the_same_batch_may_be_sent_again(bench: Bench) -> None:
    await recordings(bench.store, row(1))
    with bench.down():
        with pytest.raises(PortUnavailableError):
            await bench.store.put([row(2), row(3)])
        with pytest.raises(PortUnavailableError):
            await bench.store.probe()
    assert (await bench.rows()).keys() == {"R1"}
    await bench.store.probe()
    assert await recordings(bench.store, row(2), row(3)) == [RECORDED] * 2


async def test_failing_after_the_commit_the_repetition_is_recorded_once(bench: Bench) -> None:
    bench.cut()
    with pytest.raises(PortUnavailableError):
        await bench.store.put([row(1), row(2, person=1)])
    assert (await bench.rows()).keys() == {"R1"}
    assert await recordings(bench.store, row(1), row(2, person=1)) == [RECORDED, DUPLICATE]
    assert (await bench.rows()) == {"R1": columns(row(1))}


async def test_a_probe_leaves_nothing_behind(bench: Bench) -> None:
    for _ in range(3):
        await bench.store.probe()
    assert (await bench.rows()) == {}


async def test_batches_at_the_same_time_do_not_mix(bench: Bench) -> None:
    batches = [[row(10 * batch + index) for index in range(5)] for batch in range(4)]
    answers = await asyncio.gather(*(recordings(bench.store, *batch) for batch in batches))
    assert answers == [[RECORDED] * 5] * 4
    assert len(await bench.rows()) == 20


async def test_closed_it_is_down_and_closing_again_is_no_error(bench: Bench) -> None:
    await bench.store.close()
    await bench.store.close()
    with pytest.raises(PortUnavailableError):
        await bench.store.put([row(1)])


async def test_a_store_that_stalls_is_left_and_the_same_batch_recorded_once(bench: Bench) -> None:
    """F-12."""
    with bench.stalled(), pytest.raises((PortUnavailableError, TimeoutError)):
        async with asyncio.timeout(0.5):
            await bench.store.put([row(1), row(2)])
    assert await persist(bench.store, row(1), row(2)) == {RECORDED}
    assert (await bench.rows()) == {"R1": columns(row(1)), "R2": columns(row(2))}


async def test_a_put_cancelled_at_any_instant_may_be_sent_again(bench: Bench) -> None:
    for serial in range(20):
        batch = [row(100 * serial + index) for index in range(5)]
        await cancelled_after(bench.store.put(batch), 0.0003 * serial)
        assert await persist(bench.store, *batch) == {RECORDED}
    assert len(await bench.rows()) == 100


async def test_the_latest_checkpoint_of_each_wave_is_kept(bench: Bench) -> None:
    assert await bench.archive.checkpoints() == {}
    await bench.archive.save_checkpoints({"one": "1", "two": "2"})
    await bench.archive.save_checkpoints({"two": "two 🙂"})
    assert await bench.archive.checkpoints() == {"one": "1", "two": "two 🙂"}


async def test_what_is_recorded_is_read_in_pages_by_programme_in_order_of_receipts(
    bench: Bench,
) -> None:
    serials = [*range(1, 40), 100, 2_000]
    others = [row(serial, programme_id="other") for serial in range(500, 520)]
    await recordings(bench.store, *map(row, reversed(serials)), *others)
    await recordings(bench.store, row(7, person=8, receipt="R-7"))  # a duplicate is not recorded
    found: list[tuple[IntakeEntry, int]] = []
    after = ""
    while page := await bench.archive.recorded_rows("prakerja", after, 10):
        assert len(page) <= 10
        found += page
        after = page[-1][0].receipt
    assert [entry.receipt for entry, _ in found] == sorted(f"R{serial}" for serial in serials)
    for entry, recorded_at_us in found:
        sent = row(int(entry.receipt[1:]))
        assert recorded_at_us > 0
        assert (entry.number, entry.serial) == (sent.number, sent.serial)
        assert (entry.wave_id, entry.person) == (sent.wave_id, sent.person)
        if bench.keeps_forms:
            assert columns(entry) == columns(sent)
        else:
            assert (entry.payload, entry.content) == (b"", digest(sent.payload))


async def test_what_was_read_before_a_recovery_is_not_committed_after_its_count(
    bench: Bench,
) -> None:
    """I-8, I-11: not one row of the batch; and what is read behind the new fence goes on."""
    assert await bench.store.fences(["prakerja", "other"]) == {"prakerja": 0, "other": 0}
    await recordings(bench.store, row(1))
    fence = await bench.archive.raise_fence("prakerja")
    for batch in ([row(2)], [row(3, programme_id="other"), row(4)]):
        with pytest.raises(FencedError):
            await bench.store.put(batch)
    assert (await bench.rows()).keys() == {"R1"}
    assert await bench.store.fences(["prakerja", "other"]) == {"prakerja": fence, "other": 0}
    others = row(5, programme_id="other"), replace(row(1), fence=fence)
    assert await recordings(bench.store, *others, replace(row(6), fence=fence)) == [RECORDED] * 3
    assert await bench.archive.raise_fence("prakerja") > fence
    with pytest.raises(FencedError):
        await bench.store.put([replace(row(7), fence=fence)])


async def test_down_no_checkpoint_is_told_to_be_kept_that_is_not(bench: Bench) -> None:
    with bench.down():
        try:
            await bench.archive.save_checkpoints({"one": "1"})
        except PortUnavailableError:
            kept = {}
        else:  # beside a service that is down
            assert not bench.keeps_forms
            kept = {"one": "1"}
    assert await bench.archive.checkpoints() == kept


async def test_whatever_fails_delivery_brings_every_entry_into_the_store_once(bench: Bench) -> None:
    """I-1, I-9, F-11, F-12, F-13: outages, stalls and lost answers, one after the other."""
    rng, intake = random.Random(7), MemoryIntake()
    delivery = Delivery(
        intake, bench.store, WAVES, "one",
        max_per_s=2_000, batch_max=20, meter=Meter(), rng=rng, now_us=loop_us,
        put_s_max=0.5, reclaim_idle_s=1.0,
    )  # fmt: skip
    stop, sent = asyncio.Event(), {}
    running = asyncio.create_task(delivery.run(stop))
    for turn, fault in enumerate([bench.down, bench.stalled, nullcontext] * 3):
        if fault is nullcontext:
            bench.cut()
        for serial in range(20 * turn, 20 * turn + 20):
            person = serial.to_bytes(32, "big")
            form = b'{"serial":%d}' % serial
            sent[f"R{serial}"] = intake.append(WAVES[0], f"R{serial}", person, form)
        with fault():
            await asyncio.sleep(0.15)
    await wait_until(lambda: intake.is_empty, timeout_s=60, what="all is delivered")
    stop.set()
    await running
    assert intake.stream(WAVES[0]).dead == []
    assert await bench.rows() == {receipt: columns(entry) for receipt, entry in sent.items()}
    assert {record.state for record in intake.records.values()} == {"recorded"}
