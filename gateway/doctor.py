"""Is all in order that a launch rests on? Each finding says what was found, what is wanted, and the cure.

Looks and tries; changes nothing. Everything is looked at, whatever was found before. Ends with code 1 where
something stands in the way of a launch; a warning does not.
"""

import asyncio
import os
import resource
import shutil
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import click

from gateway.core.programme import Programme
from gateway.data import socket_directory, store_file
from gateway.faults import CannotStartError, ConfigurationError
from gateway.operators import listed
from gateway.ports import PortError
from gateway.redis.channel import Channel
from gateway.redis.processes import RedisProcesses
from gateway.redis.safety import RedisSafety
from gateway.secrets import load_secrets
from gateway.settings import EMBEDDED, Settings
from gateway.store_settings import store_of

DESCRIPTORS_WANTED = 65_536
DISK_FREE_RATIO_MIN = 0.1
MEMORY_USED_RATIO_MAX = 0.8
SKEW_S_MAX = 5.0
EXPIRY_DAYS = 7

Programmes = Sequence[Programme]


class Finding(NamedTuple):
    """One thing looked at."""

    is_well: bool
    text: str  # with the cure, where there is one to tell
    stops: bool = True  # a launch, unless it is well

    def __str__(self) -> str:
        mark, colour = (
            ("✔", "green") if self.is_well else ("✖", "red") if self.stops else ("⚠", "yellow")
        )
        return f"{click.style(mark, fg=colour)} {self.text}"


def run(settings: Settings, programmes: Programmes) -> int:
    """Look at everything, print it, and return the exit code."""
    findings = asyncio.run(_all(settings, programmes))
    for finding in findings:
        click.echo(str(finding))
    return int(any(finding.stops and not finding.is_well for finding in findings))


async def _all(settings: Settings, programmes: Programmes) -> list[Finding]:
    waves = sum(len(programme.waves) for programme in programmes)
    found = [Finding(True, f"{len(programmes)} programmes with {waves} waves")]
    found += [*_secrets(settings, programmes), *_machine(settings)]
    found += [finding async for finding in _redis(settings)]
    file = store_file(settings)
    if file is not None and not file.exists():  # trying it would make it
        found.append(Finding(is_well=False, text=f"there is no store at {file} yet", stops=False))
        return found
    found.append(await _tried(f"store {settings.store.url.partition(':')[0]}", _store(settings)))
    return found


def _secrets(settings: Settings, programmes: Programmes) -> Iterator[Finding]:
    directory = settings.secrets.dir
    try:
        ids = [programme.id for programme in programmes]
        keys = load_secrets(directory, ids, encrypt=settings.intake.encrypt)
        operators = listed(directory)
    except ConfigurationError as error:
        yield from (Finding(is_well=False, text=str(fault)) for fault in error.faults)
        return
    yield Finding(is_well=True, text=f"keys in {directory}, readable by nobody else")
    if not keys.console:
        cure = "`gateway up` makes one"
        yield Finding(is_well=False, text=f"no console.key: nobody can log in; {cure}", stops=False)
    soon_us = (time.time_ns() + EXPIRY_DAYS * 86_400 * 10**9) // 1000
    for operator in operators:
        if operator.expires_at_us < soon_us:
            text = f"the credential of {operator.id} ends within {EXPIRY_DAYS} days: make another"
            yield Finding(is_well=False, text=text, stops=False)


def _machine(settings: Settings) -> Iterator[Finding]:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    text = f"open files {most:,}, wanted {DESCRIPTORS_WANTED:,}: LimitNOFILE or ulimit -n"
    yield Finding(most >= DESCRIPTORS_WANTED, text, stops=False)
    place = Path(settings.data.dir)
    place = next(each for each in [place, *place.absolute().parents] if each.exists())
    disk = shutil.disk_usage(place)
    free = disk.free / disk.total
    yield Finding(free >= DISK_FREE_RATIO_MIN, f"{free:.0%} of the disk under {place} is free")
    if os.path.exists("/proc/sys/net/core/somaxconn"):  # noqa: PTH110  no file of ours
        backlog = int(Path("/proc/sys/net/core/somaxconn").read_text("ascii"))
        text = f"connections that may wait to be taken: {backlog:,}, wanted 1,024"
        yield Finding(backlog >= 1_024, text, stops=False)


async def _redis(settings: Settings) -> AsyncIterator[Finding]:
    with socket_directory(settings) as sockets:
        own = sockets / "valkey.sock"
    url = settings.redis.url
    if url == EMBEDDED and not own.exists():
        yield Finding(
            is_well=False,
            text="`gateway up` does not run: its Redis was not looked at",
            stops=False,
        )
        return
    url = f"unix://{own}" if url == EMBEDDED else url
    safety, processes = RedisSafety(url), RedisProcesses(url, settings.redis.prefix)
    channel = Channel(url, deadline_s=1.0)
    try:
        unsafe = await safety.findings()
        if not unsafe:
            yield Finding(is_well=True, text="what Redis acknowledges is on its disk")
        for wrong in unsafe:
            yield Finding(is_well=False, text=str(wrong), stops=not settings.redis.unsafe_ok)
        async for finding in _server(channel):
            yield finding
        rows = await processes.alive()
        doors = [row for row in rows if "delivery" not in row]
        text = f"{len(doors)} front doors and {len(rows) - len(doors)} deliveries are seen"
        yield Finding(bool(doors) and len(rows) > len(doors), text)
        revisions = {str(sorted(row.get("revisions", {}).items())) for row in doors}
        yield Finding(len(revisions) <= 1, "all front doors go by the same policies")
    except PortError as error:
        yield Finding(is_well=False, text=f"Redis does not answer: {error}")
    finally:
        for each in (safety, processes, channel):
            await each.close()


async def _server(channel: Channel) -> AsyncIterator[Finding]:
    seconds, micros = await channel.command("TIME")
    skew_s = abs(time.time() - int(seconds) - int(micros) / 1e6)
    yield Finding(skew_s <= SKEW_S_MAX, f"the clock of Redis is {skew_s:.3f} s from ours")
    text = (await channel.command("INFO")).decode()
    info = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    yield Finding(
        info.get("role") == "master", f"Redis says that it is {info.get('role')}, wanted master"
    )
    used, most = int(info.get("used_memory", 0)), int(info.get("maxmemory", 0))
    told = f"{used / max(1, most):.0%} of maxmemory is used" if most else "maxmemory is not set"
    yield Finding(bool(most) and used <= MEMORY_USED_RATIO_MAX * most, told, stops=False)


async def _tried(what: str, attempt: Callable[[], Awaitable[None]]) -> Finding:
    began_s = time.monotonic()
    try:
        await attempt()
    except (PortError, CannotStartError, OSError) as error:
        return Finding(is_well=False, text=f"{what}: {error}")
    took_ms = (time.monotonic() - began_s) * 1_000
    return Finding(is_well=True, text=f"{what}: a row could be written, tried in {took_ms:.0f} ms")


def _store(settings: Settings) -> Callable[[], Awaitable[None]]:
    async def attempt() -> None:
        store = store_of(settings, b"")
        try:
            await store.probe()
        finally:
            await store.close()

    return attempt
