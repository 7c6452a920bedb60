"""The Redis adapters keep their ports' contracts: answers, outages, and a server that is not safe."""

import asyncio
import json
import secrets
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import redis

from gateway.core.checkpoint import MARGIN, beyond, from_json, take, to_json
from gateway.core.clock import APART_US_MAX, iso
from gateway.core.policy import Policy
from gateway.core.policy_change import Timer
from gateway.core.programme import Moment, Wave
from gateway.core.snapshot import Phase
from gateway.ports import (
    Accepted,
    Claimed,
    Ended,
    Ending,
    ExtensionRefused,
    Joined,
    NotOpen,
    PolicyRevision,
    PortUnavailableError,
    Refusal,
    Registration,
    RoomMissingError,
    Settled,
    Stale,
)
from gateway.redis.fence import Fences
from gateway.redis.intake import RedisIntake
from gateway.redis.keys import key, room_keys
from gateway.redis.policy import RedisPolicies
from gateway.redis.processes import RedisProcesses
from gateway.redis.recovery import RedisRecovery
from gateway.redis.room import RedisRooms
from gateway.redis.safety import RedisSafety
from tests.faults.preload import Control
from tests.support import wait_until
from tests.valkeys import OwnValkey

POLICY = Policy(rate_per_s=50, burst=20, quota=5, check_in_s=1)


def a_wave(opens_us: int = 0, closes_us: int = 3_600_000_000) -> Wave:
    moments = Moment(0, True), Moment(opens_us, True), Moment(closes_us, True)
    return Wave("w", "p" + secrets.token_hex(3), 1, *moments, POLICY)


@dataclass
class Adapters:
    rooms: RedisRooms
    intake: RedisIntake
    policies: RedisPolicies
    processes: RedisProcesses


@pytest.fixture
async def redis_ports(valkey_socket: Path) -> AsyncIterator[Adapters]:
    url = f"unix://{valkey_socket}"
    adapters = Adapters(
        RedisRooms(url, "t"),
        RedisIntake(url, "t"),
        RedisPolicies(url, "t"),
        RedisProcesses(url, "t"),
    )
    yield adapters
    for name in ("rooms", "intake", "policies", "processes"):
        await getattr(adapters, name).close()


async def admitted(ports: Adapters, wave: Wave, count: int) -> list[Claimed]:
    """Let ``count`` people in."""
    await ports.rooms.create(wave)
    await ports.rooms.tick(wave, [])
    await asyncio.gather(*(ports.rooms.join(wave) for _ in range(count)))

    async def all_called() -> bool:
        return (await ports.rooms.tick(wave, list(range(count)))).called == count

    await wait_until(all_called, what="all are called")
    passes = {}

    async def all_claimed() -> bool:
        answers = await asyncio.gather(*(ports.rooms.claim(wave, n, n) for n in range(count)))
        passes.update({n: a for n, a in enumerate(answers) if isinstance(a, Claimed)})
        return len(passes) == count

    await wait_until(all_claimed, what="all have passes")
    return [passes[n] for n in range(count)]


def a_registration(number: int, held: Claimed, person: int, content: int = 0) -> Registration:
    return Registration(
        number,
        held.serial,
        f"R{secrets.token_hex(4)}",
        bytes([person]) * 32,
        bytes([content]) * 16,
        b"{}",
    )


async def test_numbers_are_given_once_over_concurrent_joins(redis_ports: Adapters) -> None:
    wave = a_wave()
    await redis_ports.rooms.create(wave)
    await redis_ports.rooms.tick(wave, [])
    answers = await asyncio.gather(*(redis_ports.rooms.join(wave) for _ in range(1_200)))
    assert sorted(a.number for a in answers if isinstance(a, Joined)) == list(range(1_200))


async def test_a_room_is_made_once_and_its_times_stay(redis_ports: Adapters) -> None:
    wave = a_wave(opens_us=60_000_000)
    await redis_ports.rooms.create(wave)
    first = await redis_ports.rooms.tick(wave, [])
    await redis_ports.rooms.create(wave)
    again = await redis_ports.rooms.tick(wave, [])
    assert (again.epoch, again.opens_at_us) == (first.epoch, first.opens_at_us)


async def test_an_unknown_room_and_another_epoch_are_told(
    redis_ports: Adapters, valkey_client: redis.Redis
) -> None:
    wave = a_wave()
    with pytest.raises(RoomMissingError):
        await redis_ports.rooms.tick(wave, [])
    await redis_ports.rooms.create(wave)
    await redis_ports.rooms.tick(wave, [])
    valkey_client.hset(f"t:{{{wave.programme_id}}}:w:room", "epoch", "f" * 16)
    with pytest.raises(RoomMissingError):
        await redis_ports.rooms.join(wave)


async def test_a_room_that_one_knows_to_be_less_is_closed_to_those_who_do_not(
    valkey_socket: Path, redis_ports: Adapters
) -> None:
    """I-7, I-23: put back from an older copy, it would give its numbers again to who has seen fewer."""
    wave = a_wave(opens_us=5_000_000)
    await redis_ports.rooms.create(wave)
    await redis_ports.rooms.tick(wave, [])
    room, ask = room_keys("t", wave.programme_id, wave.id)[0], redis_ports.rooms._ticks.command
    copied = await ask("HGETALL", room)
    await redis_ports.rooms.join(wave)
    await ask("HSET", room, *copied)
    another = RedisRooms(f"unix://{valkey_socket}", "t")
    with pytest.raises(RoomMissingError):
        await redis_ports.rooms.tick(wave, [])
    with pytest.raises(RoomMissingError):
        await another.join(wave)
    assert (await another.tick(wave, [])).phase is Phase.RECOVERING  # so that recovery begins
    await another.close()


async def test_a_room_that_was_put_back_is_not_put_back_again(
    valkey_socket: Path, redis_ports: Adapters
) -> None:
    """I-23: of two deliveries that recover it at once, the slower would give its numbers again."""
    wave = a_wave()
    await redis_ports.rooms.create(wave)
    known = take(await redis_ports.rooms.tick(wave, []), POLICY)
    await redis_ports.rooms._ticks.command("DEL", room_keys("t", wave.programme_id, wave.id)[0])
    recoveries = [RedisRecovery(f"unix://{valkey_socket}", "t", Fences()) for _ in range(2)]
    quicker, slower = recoveries
    assert await quicker.restore(wave, known)
    assert await slower.restore(wave, known)  # it is still closed
    await quicker.reopen(wave, {"who": "recovery"})
    number = (await joined_by(redis_ports, wave)).number
    assert not await slower.restore(wave, known)
    assert (await joined_by(redis_ports, wave)).number == number + 1
    for recovery in recoveries:
        await recovery.close()


@pytest.mark.parametrize("timer", [None, Timer(1_586_606_400_000_000, {"rate_per_s": 20.0}, "me")])
async def test_a_room_that_was_put_back_has_the_timer_of_its_policy_and_no_older_one(
    valkey_socket: Path, redis_ports: Adapters, timer: Timer | None
) -> None:
    """A change that was to go back does so; one that went back long ago is left alone."""
    wave = a_wave()
    await redis_ports.rooms.create(wave)
    older = Timer(1, {"rate_per_s": 1.0}, "long ago")
    await redis_ports.policies.change(wave, 1, POLICY, {"who": "me"}, older)
    known = take(await redis_ports.rooms.tick(wave, []), POLICY, timer=timer)
    kept = from_json(json.loads(json.dumps(to_json(known))))
    await redis_ports.rooms._ticks.command("DEL", room_keys("t", wave.programme_id, wave.id)[0])
    recovery = RedisRecovery(f"unix://{valkey_socket}", "t", Fences())
    await recovery.restore(wave, kept)
    assert (await redis_ports.policies.read(wave)).timer == timer
    await recovery.close()


async def joined_by(ports: Adapters, wave: Wave) -> Joined:
    await ports.rooms.tick(wave, [])
    joined = await ports.rooms.join(wave)
    assert isinstance(joined, Joined)
    return joined


async def test_a_process_that_knows_more_than_a_room_put_back_closes_it(
    valkey_socket: Path, redis_ports: Adapters
) -> None:
    """I-51: otherwise it would refuse that room for ever, and nobody would hear of it."""
    wave = a_wave()
    await redis_ports.rooms.create(wave)
    known = take(await redis_ports.rooms.tick(wave, []), POLICY)
    for _ in range(MARGIN + 1):
        await redis_ports.rooms.join(wave)
    await redis_ports.rooms._ticks.command("DEL", room_keys("t", wave.programme_id, wave.id)[0])
    recovery = RedisRecovery(f"unix://{valkey_socket}", "t", Fences())
    await recovery.restore(wave, known)
    await recovery.reopen(wave, {"who": "recovery"})
    for _ in range(2):
        with pytest.raises(RoomMissingError):
            await redis_ports.rooms.tick(wave, [])
    assert await recovery.restore(wave, known)  # it is closed again
    await recovery.close()


async def test_a_recovery_that_begins_again_skips_no_more_and_forgets_nothing(
    valkey_socket: Path, redis_ports: Adapters
) -> None:
    """I-7, I-51: with a store that is down, it begins again every second."""
    wave, seen = a_wave(), Fences()
    rooms = RedisRooms(f"unix://{valkey_socket}", "t", seen)
    await redis_ports.rooms.create(wave)
    await rooms.tick(wave, [])
    await rooms.join(wave)
    known = take(await rooms.tick(wave, []), POLICY)
    await redis_ports.rooms._ticks.command("DEL", room_keys("t", wave.programme_id, wave.id)[0])
    recovery = RedisRecovery(f"unix://{valkey_socket}", "t", Fences())
    issued = []
    for last in (False, False, True):  # at last, those who knew the most have died
        given = 0 if last else max(known.issued, seen.issued(wave.id))
        await recovery.restore(wave, replace(known, issued=given))
        issued.append((await rooms.tick(wave, [])).issued)
    assert issued == [beyond(known)] * 3
    await recovery.close()
    await rooms.close()


async def test_an_extension_whose_answer_was_lost_is_repeated_without_using_up_another(
    redis_ports: Adapters,
) -> None:
    wave, rooms = a_wave(), redis_ports.rooms
    [held] = await admitted(redis_ports, wave, 1)
    once = await asyncio.gather(*(rooms.extend(wave, 0, held.serial, 0) for _ in range(3)))
    assert once == [once[0]] * 3
    twice = await rooms.extend(wave, 0, held.serial, 1)
    assert (await rooms.look(wave, 0)).extensions == 2
    assert twice == await rooms.extend(wave, 0, held.serial, 1)
    assert await rooms.extend(wave, 0, held.serial, 2) is ExtensionRefused.EXHAUSTED


async def test_a_closed_wave_takes_nobody(redis_ports: Adapters) -> None:
    wave = a_wave(closes_us=0)
    await redis_ports.rooms.create(wave)
    await redis_ports.rooms.tick(wave, [])
    assert isinstance(await redis_ports.rooms.join(wave), NotOpen)


async def test_a_registration_is_accepted_once_and_settled_once(redis_ports: Adapters) -> None:
    wave, intake = a_wave(), redis_ports.intake
    held = await admitted(redis_ports, wave, 3)
    first = await intake.accept(wave, a_registration(0, held[0], person=1))
    assert isinstance(first, Accepted)
    assert await intake.accept(wave, a_registration(0, held[0], person=1)) == first
    assert (
        await intake.accept(wave, a_registration(0, held[0], person=1, content=1))
        is Refusal.PASS_USED
    )
    other = a_registration(1, held[1], person=1, content=1)
    assert await intake.accept(wave, other) is Refusal.ALREADY_REGISTERED
    assert await intake.accept(wave, a_registration(1, held[1], person=1)) == first
    entries = await intake.read(wave, "one", 10, 0)
    assert [entry.receipt for entry in entries] == [first.receipt]
    assert await intake.read(wave, "two", 10, 0) == []
    taken = await intake.reclaim(wave, "two", 10, idle_ms=0)
    assert [(entry.receipt, entry.deliveries) for entry in taken] == [(first.receipt, 2)]
    await intake.settle(wave, [Settled(taken[0].entry_id, first.receipt, "recorded")])
    record = await intake.find_receipt(wave.programme_id, first.receipt)
    assert record is not None
    assert record.state == "recorded"
    assert await intake.find_receipt(wave.programme_id, "R-none") is None
    snapshot = await redis_ports.rooms.tick(wave, [])
    assert (snapshot.accepted, snapshot.recorded, snapshot.backlog) == (1, 1, 0)


async def test_leaving_gives_the_place_back_once(redis_ports: Adapters) -> None:
    wave = a_wave()
    await admitted(redis_ports, wave, 2)
    for _ in range(2):
        assert await redis_ports.rooms.leave(wave, 0, 0) == Ended(Ending.LEFT)
    snapshot = await redis_ports.rooms.tick(wave, [])
    assert (snapshot.ended, snapshot.outstanding) == (1, 1)
    assert await redis_ports.rooms.claim(wave, 0, 0) == Ended(Ending.LEFT)
    assert (await redis_ports.rooms.left(wave))[0] & 0b1000_0000


async def test_entries_of_a_dead_consumer_are_taken_over_after_the_clock_was_set_back(
    tmp_path: Path,
) -> None:
    """I-51, F-18: to the server they were handed out in an hour, so they are not idle until then."""
    control = Control(tmp_path)
    server = OwnValkey(environ=control.environ)
    server.start()
    ports = Adapters(
        RedisRooms(server.url, "t"), RedisIntake(server.url, "t"),
        RedisPolicies(server.url, "t"), RedisProcesses(server.url, "t"),
    )  # fmt: skip
    wave = a_wave()
    (held,) = await admitted(ports, wave, 1)
    await ports.intake.accept(wave, a_registration(0, held, 1))
    (entry,) = await ports.intake.read(wave, "dead", 10, 0)
    control.step_clock(-3_600_000_000)

    async def is_taken_over() -> bool:
        taken = await ports.intake.reclaim(wave, "alive", 10, 100)
        return [one.receipt for one in taken] == [entry.receipt]

    await wait_until(is_taken_over, what="the entry is taken over")
    for name in ("rooms", "intake", "policies", "processes"):
        await getattr(ports, name).close()
    server.kill()


async def test_a_wave_closes_when_the_policy_says_and_stays_closed(redis_ports: Adapters) -> None:
    wave = a_wave(closes_us=60_000_000)
    await redis_ports.rooms.create(wave)
    opened = await redis_ports.rooms.tick(wave, [])
    later = replace(POLICY, closes_at=iso(opened.closes_at_us + 60_000_000, "WIB"))
    await redis_ports.policies.change(wave, 1, later, {"who": "me"})
    now = replace(POLICY, closes_at=iso(opened.now_us, "WIB"))
    assert await redis_ports.policies.change(wave, 2, now, {"who": "me"}) == PolicyRevision(3, now)
    assert await redis_ports.policies.change(wave, 3, later, {"who": "late"}) == Stale(3)
    assert (await redis_ports.rooms.tick(wave, [])).phase is Phase.CLOSED
    assert await redis_ports.rooms.join(wave) == NotOpen(Phase.CLOSED)
    told = replace(now, message="thank you")
    assert isinstance(
        await redis_ports.policies.change(wave, 3, told, {"who": "me"}), PolicyRevision
    )


async def test_i_25_a_room_keeps_the_commitment_it_was_made_with_also_when_it_is_put_back(
    redis_ports: Adapters, valkey_socket: Path
) -> None:
    wave, url = a_wave(), f"unix://{valkey_socket}"
    ours = RedisRooms(url, "t", commitment=lambda _: "a" * 64)
    theirs = RedisRooms(url, "t", commitment=lambda _: "b" * 64)
    await ours.create(wave)
    assert (await theirs.tick(wave, [])).commitment == "a" * 64
    known = take(await ours.tick(wave, []), POLICY)
    await ours._ticks.command("DEL", room_keys("t", wave.programme_id, wave.id)[0])
    recovery = RedisRecovery(url, "t", Fences())
    await recovery.restore(wave, known)
    assert (await theirs.tick(wave, [])).commitment == "a" * 64
    unknown = a_wave()
    await redis_ports.rooms.create(unknown)  # made before rooms kept it
    assert (await redis_ports.rooms.tick(unknown, [])).commitment == ""
    assert (await theirs.tick(unknown, [])).commitment == "b" * 64
    assert (await ours.tick(unknown, [])).commitment == "b" * 64
    for adapter in (ours, theirs, recovery):
        await adapter.close()


async def test_a_wave_stands_while_no_process_confirms_the_clock_and_moves_with_the_first_that_does(
    redis_ports: Adapters, valkey_socket: Path
) -> None:
    """F-19: what the server's clock alone says is done by nobody, and a wrong process stops nobody."""
    wave, url = a_wave(closes_us=60_000_000), f"unix://{valkey_socket}"
    late = RedisRooms(url, "t", wall_us=lambda: time.time_ns() // 1_000 - 86_400_000_000)
    await redis_ports.rooms.create(wave)
    stands = await late.tick(wave, [])
    assert stands.phase is Phase.SCHEDULED
    assert stands.unconfirmed_us > APART_US_MAX
    assert await redis_ports.rooms.join(wave) == NotOpen(Phase.SCHEDULED)
    moved = await redis_ports.rooms.tick(wave, [])
    assert (moved.phase, moved.unconfirmed_us) == (Phase.OPEN, 0)
    assert (await late.tick(wave, [])).unconfirmed_us < APART_US_MAX
    await late.close()


async def test_a_policy_that_pauses_joins_takes_nobody_new_and_serves_who_waits(
    redis_ports: Adapters,
) -> None:
    wave = a_wave()
    await redis_ports.rooms.create(wave)
    await redis_ports.rooms.tick(wave, [])
    held = await redis_ports.rooms.join(wave)
    assert isinstance(held, Joined)
    await redis_ports.policies.change(wave, 1, replace(POLICY, joins_paused=True), {"who": "me"})
    assert await redis_ports.rooms.join(wave) == NotOpen(Phase.OPEN)

    async def is_admitted() -> bool:
        await redis_ports.rooms.tick(wave, [0])
        return isinstance(await redis_ports.rooms.claim(wave, held.number, 0), Claimed)

    await wait_until(is_admitted)
    await redis_ports.policies.change(wave, 2, POLICY, {"who": "me"})
    assert isinstance(await redis_ports.rooms.join(wave), Joined)


async def test_a_policy_is_replaced_by_whoever_read_the_latest(redis_ports: Adapters) -> None:
    wave = a_wave()
    await redis_ports.rooms.create(wave)
    assert (await redis_ports.policies.read(wave)).policy == POLICY
    slower = Policy(rate_per_s=5, burst=5)
    changed = await redis_ports.policies.change(wave, 1, slower, {"who": "me"})
    assert changed == PolicyRevision(2, slower)
    assert await redis_ports.policies.change(wave, 1, POLICY, {"who": "you"}) == Stale(2)
    assert [record["who"] for record in await redis_ports.policies.audit(wave, 10)] == ["me"]
    assert (await redis_ports.rooms.tick(wave, [])).revision == 2


async def test_all_audit_records_are_read_page_by_page(redis_ports: Adapters) -> None:
    wave, policies = a_wave(), redis_ports.policies
    await redis_ports.rooms.create(wave)
    for n in range(7):
        await policies.note(wave, {"who": f"{n}", "refused": "policy-invalid"})
    read: list[str] = []
    before = ""
    while page := await policies.audit(wave, 3, before):
        read += [record["who"] for record in page]
        before = page[-1]["id"]
    assert read == [f"{n}" for n in reversed(range(7))]


async def test_a_timer_is_kept_with_its_revision_and_goes_with_the_next(
    redis_ports: Adapters,
) -> None:
    wave, policies = a_wave(), redis_ports.policies
    await redis_ports.rooms.create(wave)
    timer = Timer(5_000_000, {"rate_per_s": 7.5, "message": "é"}, "me")
    await policies.change(wave, 1, replace(POLICY, message="a"), {"who": "me"}, timer)
    read = await policies.read(wave)
    assert (read.timer, read.at_us > 0) == (timer, True)
    await policies.change(wave, 2, POLICY, {"who": "me"})
    assert (await policies.read(wave)).timer is None


async def test_i58_the_servers_chain_is_the_cores_and_an_edit_or_gap_shows(
    redis_ports: Adapters, valkey_client: redis.Redis
) -> None:
    wave, policies = a_wave(), redis_ports.policies
    await redis_ports.rooms.create(wave)
    assert (await policies.chain(wave)).broken_at is None
    for revision in range(1, 6):
        held = replace(POLICY, message=f"pesan é {revision}")
        await policies.change(wave, revision, held, {"who": "rina", "reason": "naik – 50 %"})
    assert await policies.note(wave, {"who": "gateway", "did": "result"}, result_of=3)
    assert not await policies.note(wave, {"who": "gateway", "did": "result"}, result_of=3)
    assert await policies.note(wave, {"who": "rina", "refused": "policy-invalid"})
    chain = await policies.chain(wave)
    assert (chain.count, chain.broken_at) == (7, None)
    name = key("t", wave.programme_id, wave.id, "audit")
    entries: Any = valkey_client.xrange(name)
    valkey_client.xdel(name, entries[2][0])
    assert (await policies.chain(wave)).broken_at == 3
    valkey_client.xtrim(name, maxlen=0)
    assert (await policies.chain(wave)).broken_at == 1


async def test_processes_are_seen_while_they_report(redis_ports: Adapters) -> None:
    await redis_ports.processes.report("one", {"pid": 1})
    assert [row["process"] for row in await redis_ports.processes.alive()] == ["one"]
    await redis_ports.processes.forget("one")
    assert await redis_ports.processes.alive() == []


async def test_every_port_says_within_its_deadline_that_redis_is_away() -> None:
    """F-4: nothing waits, nothing is half done."""
    url, wave = "unix:///nonexistent/socket", a_wave()
    rooms, intake, policies = RedisRooms(url, "t"), RedisIntake(url, "t"), RedisPolicies(url, "t")
    registration = a_registration(0, Claimed(1, 0, new=True), person=1)
    for call in (
        lambda: rooms.tick(wave, []),
        lambda: rooms.join(wave),
        lambda: rooms.claim(wave, 0, 0),
        lambda: rooms.look(wave, 0),
        lambda: rooms.leave(wave, 0, None),
        lambda: intake.accept(wave, registration),
        lambda: intake.find_receipt("p", "R"),
        lambda: intake.read(wave, "c", 1, 100),
        lambda: policies.read(wave),
    ):
        began_s = time.monotonic()
        with pytest.raises(PortUnavailableError):
            await call()
        assert time.monotonic() - began_s < 0.3


@pytest.mark.parametrize(
    ("name", "bad"),
    [
        ("appendonly", "no"),
        ("appendfsync", "everysec"),
        ("no-appendfsync-on-rewrite", "yes"),
        ("maxmemory-policy", "allkeys-lru"),
    ],
)
async def test_an_unsafe_server_is_found_out_with_its_cure(
    valkey_socket: Path, valkey_client: redis.Redis, name: str, bad: str
) -> None:
    """F-6, also when it is made unsafe in mid-run."""
    safety = RedisSafety(f"unix://{valkey_socket}")
    assert await safety.findings() == ()
    good = str(valkey_client.config_get(name)[name])
    valkey_client.config_set(name, bad)
    try:
        findings = await safety.findings()
        assert [(f.name, f.found) for f in findings] == [(name, bad)]
        assert f"CONFIG SET {name}" in str(findings[0])
    finally:
        valkey_client.config_set(name, good)
        await safety.close()


@pytest.mark.parametrize("command", ["info", "config|get"])
async def test_a_user_that_may_not_ask_what_durability_rests_on_is_found_out(command: str) -> None:
    """Without INFO no room can be told from its older copy: it is made for nobody, and serves nobody."""
    server = OwnValkey()
    server.start()
    wave, rooms, safety = a_wave(), RedisRooms(server.url, "t"), RedisSafety(server.url)
    await rooms.create(wave)
    with server.client() as client:
        client.execute_command("ACL", "SETUSER", "default", f"-{command}")
    (finding,) = await safety.findings()
    assert f"+{command}" in str(finding)
    if command == "info":
        for call in (rooms.tick(wave, []), rooms.join(wave), rooms.create(a_wave())):
            with pytest.raises(PortUnavailableError, match="'info'"):
                await call
    await rooms.close()
    await safety.close()
    server.kill()
