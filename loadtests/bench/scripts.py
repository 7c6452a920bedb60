"""The room's own scripts in virtual time: their one ``TIME`` line reads the last of their KEYS instead."""

from collections.abc import Callable, Sequence
from typing import Any

import redis

from gateway.core.policy import Policy
from gateway.core.programme import Moment, Programme, Wave
from gateway.redis.keys import ROOM_KEYS, room_keys
from gateway.redis.lua import load
from gateway.redis.wave import GROUP, policy_numbers

EPOCH = "0123456789abcdef"
Patch = Callable[[str], str]  # puts a bug into a script; for the tests of the bench itself


def unpatched(text: str) -> str:
    """Return the script as it is."""
    return text


def programme_of(policy: Policy, opens_at_us: int, closes_at_us: int) -> Programme:
    """Return a programme of one wave that takes people from the beginning of time."""
    moments = Moment(0), Moment(opens_at_us), Moment(closes_at_us)
    wave = Wave("bench-1", "bench", 1, *moments, policy=policy)
    name = {"id": "Uji", "en": "Bench"}
    return Programme(
        id="bench",
        name=name,
        zone="WIB",
        selection="first-come",
        person_field="nik",
        help_line=name,
        prepare=name,
        fields=(),
        waves=(wave,),
    )


class VirtualScripts:
    """One wave's scripts, told the time with every call."""

    def __init__(self, client: redis.Redis, wave: Wave, patch: Patch = unpatched) -> None:
        self._client: Any = client
        self._wave = wave
        self._patch = patch
        self._keys = room_keys("bench", wave.programme_id, wave.id)
        self._shas: dict[str, str] = {}

    @property
    def room(self) -> str:
        """The key of the room's hash."""
        return self._keys[0]

    def key(self, name: str) -> str:
        """Return one key of the wave."""
        return self._keys[ROOM_KEYS.index(name)]

    def create(self, now_us: int) -> None:
        """Make the room."""
        moments = self._wave.prequeue_at, self._wave.opens_at, self._wave.closes_at
        times = [moment.us for moment in moments]
        self.run("create", now_us, [GROUP, *times, "{}", *policy_numbers(self._wave.policy)])

    def run(self, name: str, now_us: int, args: Sequence[int | str]) -> Any:
        """Run one script at ``now_us``."""
        sha = self._shas.get(name) or self._load(name)
        keys = [*self._keys, str(now_us)]
        return self._client.evalsha(sha, len(keys), *keys, EPOCH if name == "create" else "", *args)

    def tick(self, now_us: int, seen: Sequence[int] = ()) -> Any:
        """Tick at ``now_us``, which is what the caller's own clock shows, too."""
        return self.run("tick", now_us, [now_us, "", *seen])

    def _load(self, name: str) -> str:
        text = load(name).text
        timed = text.replace("redis.call('TIME')", "{0, KEYS[#KEYS]}")
        if timed == text:
            raise ValueError(f"{name} has no TIME line to replace")
        sha: str = self._client.script_load(self._patch(timed))
        self._shas[name] = sha
        return sha
