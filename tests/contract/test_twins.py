"""Each script and its pure twin give the same answers and keep the same state, whatever happens."""

import os
from collections.abc import Callable, Iterator

import pytest
import redis
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.contract.twins import Twins, script_text
from tests.core.tour import tour
from tests.valkeys import OwnValkey

LIFE = settings(
    max_examples=int(os.environ.get("TWIN_EXAMPLES", "40")),
    stateful_step_count=40,
    deadline=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def quick_client() -> Iterator[redis.Redis]:
    """Yield a client of a server that keeps nothing: what scripts compute does not hang on the disk."""
    server = OwnValkey(durable=False)
    server.start()
    with server.client() as client:
        yield client
    server.kill()


def machine(server: redis.Redis, text: Callable[[str], str] = script_text) -> type[Twins]:
    """Return the state machine, bound to one server and one way of loading scripts."""
    return type("Bound", (Twins,), {"server": server, "text": staticmethod(text)})


def test_scripts_and_core_lead_the_same_life(quick_client: redis.Redis) -> None:
    run_state_machine_as_test(machine(quick_client), settings=LIFE)


def test_scripts_and_core_agree_in_every_rare_state(quick_client: redis.Redis) -> None:
    tour(machine(quick_client)())


SEEDED_BUGS = {
    "I-9 the person is not looked for": ("redis.call('HGET', PERSONS, item.person)", "false"),
    "I-36 any pass of a number will do": ("if not held or held.serial ~= item.serial then", "if not held then"),
    "I-10 content is not compared": ("record.content ~= item.content", "false"),
    "I-10 a spent pass is not compared": ("first.person == item.person and first.content == item.content", "true"),
    "I-11 quota read without reservations": ("- room.accepted - room.outstanding", "- room.accepted"),
    "I-12 third extension": ("held.extensions >= EXTENSIONS_MAX", "false"),
    "I-12 a repeat uses up another extension": ("held.extensions > seen", "false"),
    "I-12 any pass is extended": ("not held or held.serial ~= serial", "not held"),
    "I-12 an expired pass is kept": ("        drop_pass(number)\n        if", "        if"),
    "I-12 a spent pass stays outstanding": ("    drop_pass(item.number)\n", ""),
    "I-13 a change of quota recounts": ("step(room) -- a change of rate pays for no past", "step(room)\nroom.accepted = room.accepted + room.outstanding"),
    "I-14 passes age while paused": ("return room.paused == 1 or room.phase", "return room.phase"),
    "I-14 passes age while the backlog is full": ("'recovering' or is_full(room, room.last_us)", "'recovering'"),
    "I-15 a pass may try any number of persons": ("if tried >= PERSONS_PER_PASS_MAX then", "if false then"),
    "I-15 a person tried again counts again": ("if person == item.person then", "if false then"),
    "I-16 a token is not taken": ("    room.level = room.level - TOKEN\n", ""),
    "I-16 a change of rate pays for the past": ("step(room) -- a change of rate pays for no past", ""),
    "I-16 the bucket has no rim": ("math.min(level, room.burst * TOKEN)", "level"),
    "I-17 a forward clock step is not clamped": (", STEP_US_MAX)", ", 1e18)"),
    "I-17 a backward clock step counts": ("math.max(now_us - room.last_us, 0)", "now_us - room.last_us"),
    "I-17 a backward clock step is waited for": ("room.last_us = now_us", "room.last_us = math.max(room.last_us, now_us)"),
    "F-19 phases go by the server's clock alone": ("and now_us or room.agreed_us", "and now_us or now_us"),
    "F-19 whoever ticks confirms the clock": ("if math.abs(now_us - tonumber(ARGV[2])) <= APART_US_MAX then", "if true then"),
    "F-19 the furthest goes back with the clock": ("math.max(now_us, room.furthest_us + elapsed_us)", "now_us"),
    "I-18 every call refills": ("math.max(now_us - room.last_us, 0)", "math.max(now_us - room.last_us, 100000)"),
    "I-19 a whole burst is kept for those in front": ("math.max(2, math.ceil(rate_in_force(room) * RETRY_US_MIN / TOKEN))", "room.burst"),
    "I-20 form cap forgotten": ("or room.outstanding >= room.form_cap", ""),
    "I-21 the bucket starts full": ("room.level = 0 -- a pause", "room.level = room.burst * TOKEN -- a pause"),
    "I-21 the phase is not looked at": ("if room.phase ~= 'open' then", "if room.near == 0 then"),
    "I-21 a pause is overlooked": ("    if room.paused == 1 then\n        return { 'paused'", "    if false then\n        return { 'paused'"),
    "I-22 the last of a batch is served first": ("return one[3] < other[3]", "return one[3] > other[3]"),
    "a wave closes by the programme alone": ("room.closing_us > 0 and room.closing_us or room.closes_at_us", "room.closes_at_us"),
    "J-2 joins are never paused": (" or room.joins_paused == 1", ""),
    "J-2 a pause of joins pauses claims": ("    if room.paused == 1 then\n        return { 'paused'", "    if room.paused + room.joins_paused > 0 then\n        return { 'paused'"),
    "I-23 a number is given twice": ("room.issued = first + tonumber(ARGV[2])", "room.issued = first + tonumber(ARGV[2]) - 1"),
    "I-25 another commitment takes the place of the first": ("if not commitment and ARGV[3] ~= ''", "if ARGV[3] ~= ''"),
    "I-25 the cohort is not frozen": ("room.cohort, room.turned_us, room.level = room.issued,", "room.cohort, room.turned_us, room.level = 0,"),
    "I-26 a pass is issued above called": ("if position >= room.called then\n        return", "if false then\n        return"),
    "I-26 called follows the stock both ways": ("if wanted <= 0 then\n        return room.called", "if wanted <= 0 then\n        return room.called + wanted"),
    "I-29 a turn expires with the poll": ("if position >= room.called then\n        return", "if position >= room.called or redis.call('GETBIT', PRESENT, position) == 0 then\n        return"),
    "I-30 missed turns return for ever": ("set_bit(room, LOST, number)", ""),
    "I-30 nobody returns": ("set_bit(room, MISSED, number) == 1", "set_bit(room, MISSED, number) >= 0"),
    "I-32 leaving keeps the pass": ("drop_pass(number)\n        set_bit(room, LEFT", "set_bit(room, LEFT"),
    "I-32 leaving keeps the turn": ("set_bit(room, LEFT, number)", ""),
    "I-32 release counted twice": ("    if not ending then\n", "    if ending ~= 'registered' then\n"),
    "I-33 the near window never widens": ("room.near = next_near(room)", ""),
    "absentees are never passed over": ("math.max(room.ripe, room.called)", "room.called"),
    "settling twice counts twice": ("redis.call('XACK', INTAKE, ARGV[2], id) == 1", "true"),
    "who is called is counted though it may have claimed": ("if position >= room.called then\n        mark", "if true then\n        mark"),
    "instants are written with 14 digits": ("string.format('%.0f', number)", "tostring(number)"),
}  # fmt: skip


@pytest.mark.parametrize("bug", SEEDED_BUGS)
def test_a_seeded_bug_turns_the_twins_red(quick_client: redis.Redis, bug: str) -> None:
    sound, broken = SEEDED_BUGS[bug]
    patched: set[str] = set()

    def text(name: str) -> str:
        source = script_text(name)
        if sound in source:
            patched.add(name)
        return source.replace(sound, broken)

    with pytest.raises(AssertionError):
        tour(machine(quick_client, text)())
    assert patched, "the bug was seeded in no script"
