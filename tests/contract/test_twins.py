"""Each script and its pure twin give the same answers and keep the same state, whatever happens."""

import os
from collections.abc import Callable, Iterator

import pytest
import redis
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.contract.twins import Twins, script_text
from tests.valkeys import OwnValkey

LIFE = settings(
    max_examples=int(os.environ.get("TWIN_EXAMPLES", "40")),
    stateful_step_count=40,
    deadline=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)
HUNT = settings(LIFE, max_examples=1_000, phases=[Phase.generate], database=None, print_blob=False)


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


SEEDED_BUGS = {
    "a forward clock step is not clamped": (", STEP_US_MAX)", ", 1e18)"),
    "a backward clock step counts": ("math.max(now_us - room.last_us, 0)", "now_us - room.last_us"),
    "the bucket starts full": ("room.level = 0 -- a pause", "room.level = room.burst * TOKEN -- a pause"),
    "quota read without reservations": ("- room.accepted - room.outstanding", "- room.accepted"),
    "form cap forgotten": ("or room.outstanding >= room.form_cap", ""),
    "a pass is issued above called": ("if position >= room.called then", "if false then"),
    "missed turns return for ever": ("redis.call('SETBIT', LOST, number, 1)", ""),
    "leaving keeps the pass": ("drop_pass(number)\n        redis.call('SETBIT', LEFT", "redis.call('SETBIT', LEFT"),
    "content is not compared": ("record.content ~= item.content", "false"),
    "a pass may try any number of persons": ("if tried >= PERSONS_PER_PASS_MAX then", "if false then"),
    "third extension": ("held.extensions >= EXTENSIONS_MAX", "false"),
    "the cohort is not frozen": ("room.cohort, room.turned_us, room.level = room.issued,", "room.cohort, room.turned_us, room.level = 0,"),
    "settling twice counts twice": ("redis.call('XACK', INTAKE, ARGV[2], id) == 1", "true"),
    "absentees are never passed over": ("math.max(room.ripe, room.called)", "room.called"),
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
        run_state_machine_as_test(machine(quick_client, text), settings=HUNT)
    assert patched, "the bug was seeded in no script"
