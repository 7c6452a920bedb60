"""Forms wait sealed: Redis' file holds nothing of them, and a key that does not fit loses none (I-40, 4.7)."""

import json
import secrets
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from gateway.core.form import canonical_json, content_digest, person_digest
from gateway.core.policy import Policy
from gateway.core.programme import Moment, Wave
from gateway.core.sealing import is_sealed, split
from gateway.core.tickets import Key, Keyring
from gateway.ports import Accepted, Claimed, IntakeEntry, Recording, Refusal, Registration
from gateway.redis.intake import RedisIntake
from gateway.redis.room import RedisRooms
from gateway.redis.sealed import SealedIntake
from gateway.services.delivery import Delivery
from gateway.stores.rows import misfit
from tests.adapters import virtual_time
from tests.adapters.intake import MemoryIntake
from tests.services.delivery_world import WAVES, World
from tests.support import wait_until
from tests.valkeys import OwnValkey

PEPPER = b"pepper" * 6
MOMENTS = Moment(0, True), Moment(0, True), Moment(2**50, True)
WAVE = Wave("w", "p", 1, *MOMENTS, Policy(check_in_s=1))
CANARY = {
    "nik": "3201014507900007",
    "name": "Siti Canary-Nurhaliza é 🙂",
    "phone": "+6281234567890",
    "email": "canary@nowhere.example",
}


def ring(key_id: int, *others: Key) -> Keyring:
    return Keyring(Key(key_id, secrets.token_bytes(32)), others)


def sealing(inner: Any, keys: Keyring, *, programme_id: str = "p", encrypt: bool = True) -> Any:
    return SealedIntake(inner, {programme_id: keys}, secrets.token_bytes, encrypt=encrypt)


def registration(number: int, serial: int, values: dict[str, str]) -> Registration:
    form = canonical_json(values)
    return Registration(
        number=number,
        serial=serial,
        receipt=f"R{secrets.token_hex(8)}",
        person=person_digest(PEPPER, "p", values["nik"]),
        content=content_digest(PEPPER, form),
        payload=form,
    )


@pytest.fixture
def server() -> Iterator[OwnValkey]:
    valkey = OwnValkey()
    valkey.start()
    yield valkey
    valkey.kill()


async def claimed(rooms: RedisRooms) -> Claimed:
    await rooms.create(WAVE)
    await rooms.tick(WAVE, [])
    await rooms.join(WAVE)
    found: list[Claimed] = []

    async def has_pass() -> bool:
        await rooms.tick(WAVE, [0])
        answer = await rooms.claim(WAVE, 0, 0)
        found.extend([answer] if isinstance(answer, Claimed) else [])
        return bool(found)

    await wait_until(has_pass, what="a pass")
    return found[0]


async def registered(server: OwnValkey, keys: Keyring, *, encrypt: bool) -> list[IntakeEntry]:
    """Have the canary accepted, again and otherwise; return what delivery reads."""
    rooms, redis = RedisRooms(server.url, "t"), RedisIntake(server.url, "t")
    intake = sealing(redis, keys, encrypt=encrypt)
    try:
        held = await claimed(rooms)
        first = await intake.accept(WAVE, registration(0, held.serial, CANARY))
        assert isinstance(first, Accepted)
        assert await intake.accept(WAVE, registration(0, held.serial, CANARY)) == first
        other = registration(0, held.serial, CANARY | {"name": "Other"})
        assert await intake.accept(WAVE, other) is Refusal.PASS_USED
        entries: list[IntakeEntry] = await intake.read(WAVE, "one", 10, 0)
        assert [entry.receipt for entry in entries] == [first.receipt]
        assert [e.payload for e in await intake.reclaim(WAVE, "two", 10, 0)] == [entries[0].payload]
    finally:
        await redis.close()
        await rooms.close()
    return entries


@pytest.mark.parametrize("encrypt", [True, False])
async def test_redis_holds_nothing_of_a_form_in_clear_when_forms_are_sealed(
    server: OwnValkey, encrypt: bool
) -> None:
    (entry,) = await registered(server, ring(1), encrypt=encrypt)
    assert json.loads(entry.payload) == CANARY, "delivery reads it in clear"
    server.kill()
    kept = b"".join(file.read_bytes() for file in server.log.iterdir())
    assert b"XADD" in kept or b"xadd" in kept
    assert {name: value.encode() in kept for name, value in CANARY.items()} == dict.fromkeys(
        CANARY, not encrypt
    )


async def accepted(keys: Keyring, **changes: Any) -> tuple[MemoryIntake, IntakeEntry]:
    inner = MemoryIntake()
    await sealing(inner, keys).accept(WAVE, registration(0, 1, CANARY)._replace(**changes))
    return inner, next(iter(inner.stream(WAVE).entries.values()))


async def reading(inner: MemoryIntake, keys: Keyring) -> IntakeEntry:
    entries = await sealing(inner, keys).read(WAVE, "one", 1, 0)
    found: IntakeEntry = entries[0]
    return found


async def test_a_rotated_key_still_opens_and_no_nonce_comes_twice() -> None:
    old = ring(1)
    inner, first = await accepted(old)
    sealed = [first, *[(await accepted(old))[1] for _ in range(100)]]
    assert len({parts[1] for entry in sealed if (parts := split(entry.payload))}) == 101
    rotated = ring(2, old.current)
    assert (await reading(inner, rotated)).payload == canonical_json(CANARY)


async def test_forms_from_before_sealing_are_read_and_sealed_ones_after_it_too() -> None:
    keys, inner = ring(1), MemoryIntake()
    for number, encrypt in enumerate([False, True, False]):
        values = CANARY | {"nik": f"320101450790000{number}"}
        item = registration(number, 1 + number, values)
        await sealing(inner, keys, encrypt=encrypt).accept(WAVE, item)
    read = await sealing(inner, keys, encrypt=False).read(WAVE, "one", 9, 0)
    assert [json.loads(entry.payload)["name"] for entry in read] == [CANARY["name"]] * 3


@pytest.mark.parametrize("change", ["receipt", "wave_id", "programme_id", "payload", "cut"])
async def test_a_sealed_form_opens_in_its_own_entry_only(change: str) -> None:
    keys = ring(1)
    inner, entry = await accepted(keys)
    changed = {
        "receipt": replace(entry, receipt="R-other"),
        "wave_id": replace(entry, wave_id="w2"),
        "programme_id": replace(entry, programme_id="p2"),
        "payload": replace(entry, payload=entry.payload[:-1] + bytes([entry.payload[-1] ^ 1])),
        "cut": replace(entry, payload=entry.payload[:20]),
    }[change]
    both = SealedIntake(inner, {"p": keys, "p2": keys}, secrets.token_bytes, encrypt=True)
    assert both._open(entry).payload == canonical_json(CANARY)
    assert both._open(changed).payload == changed.payload
    assert misfit(replace(changed, accepted_at_us=1)) == "payload-sealed"


@pytest.mark.parametrize("loss", ["missing", "wrong"])
def test_without_its_key_an_entry_is_tried_five_times_and_then_buried_whole(loss: str) -> None:
    wave, right = WAVES[0], ring(1)
    given = {"missing": ring(2), "wrong": ring(1)}[loss]

    def without_key(intake: Any, *args: Any, **options: Any) -> Delivery:
        sealed = sealing(intake, given, programme_id=wave.programme_id)
        return Delivery(sealed, *args, **options)

    async def main() -> None:
        world = World(reclaim_idle_s=1.0)
        door = sealing(world.intake, right, programme_id=wave.programme_id)
        await door.accept(wave, registration(0, 1, CANARY))
        world.fill(wave, 50)  # in clear: they go on
        async with world.delivering(kind=without_key):
            await world.quiet()
        assert len(world.rows.rows) == 50
        assert world.meter.rows[Recording.REJECTED] == 1
        ((entry, reason),) = world.intake.stream(wave).dead
        assert (reason, entry.deliveries) == ("payload-sealed", 5)
        assert is_sealed(entry.payload)
        assert door._open(entry).payload == canonical_json(CANARY), "the right key still opens it"

    virtual_time.run(main())


async def test_without_its_key_a_door_accepts_nothing_in_clear() -> None:
    inner = MemoryIntake()
    keyless = SealedIntake(inner, {}, secrets.token_bytes, encrypt=True)
    with pytest.raises(KeyError):
        await keyless.accept(WAVE, registration(0, 1, CANARY))
    assert inner.is_empty
