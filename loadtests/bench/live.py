"""Is the admission rate exact in a real run? `gateway up`, real HTTP, and a crowd that behaves like the page.

The instants of admission are not those of answers, which the network and this client blur: they are read
from the room at the end, on its own clock. Where a window misses the rate though as many as aimed at were
called and there all the time, the machine stood still: a pause of 200 ms at a window's edge is 2 % of it.
"""

import asyncio
import random
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import aiohttp
import redis

from gateway.redis.keys import key
from loadtests import system
from loadtests.bench.admission import SETTLED_US, bursts, window_ratios
from loadtests.bench.crowd import FAR_S, JITTER, NETWORK_US, WAIT_S_MIN, Scenario, Story
from loadtests.bench.doors import TICK_US
from loadtests.bench.rows import Row, Wanted
from loadtests.evidence import PASS_TTL_S, Terms
from loadtests.looks import far_poll_s

SHARES = (0.0, 0.4, 0.7, 0.9)
OPENS_S = 14.0  # after the room is made: the crowd joins before
JOINS_AT_ONCE = 20
FULL = Scenario(0.0, rate_per_s=50.0, burst=25, check_in_s=2, seconds=40.0, people_min=2_000)
QUICK = replace(FULL, rate_per_s=20.0, burst=10, seconds=30.0, people_min=600)


def rows(quick: bool) -> Sequence[Row]:
    """Return the rows, three for each share of no-shows."""
    shares = (0.7,) if quick else SHARES
    base = QUICK if quick else FULL
    return [row for share in shares for row in _rows_at(replace(base, no_show_share=share))]


def _rows_at(scenario: Scenario) -> Sequence[Row]:
    @cache
    def story() -> Story:
        return live(scenario)

    at = f"{scenario.no_show_share:.0%} no-shows"
    return [
        Row(f"{at}, every 10 s / rate", Wanted(0.98, 1.02), lambda: window_ratios(story())),
        Row(f"{at}, burst needed", Wanted(high=scenario.burst), lambda: bursts(story())),
        Row(f"{at}, called and there / aimed at", Wanted(low=0.5), lambda: story().stocks),
    ]


def live(scenario: Scenario) -> Story:
    """Run one gateway and its crowd."""
    terms = Terms(
        scenario.people, scenario.rate_per_s, scenario.burst, quota=max(1_000, scenario.people)
    )
    with tempfile.TemporaryDirectory(prefix="gw-bench-") as name:
        gateway = system.start(Path(name), terms, opens_s=OPENS_S)
        try:
            with redis.Redis(unix_socket_path=f"{name}/data/valkey.sock") as client:
                crowd = _Crowd(gateway.url, client, scenario)
                asyncio.run(crowd.live())
                return replace(_story(client, scenario), stocks=crowd.stocks)
        finally:
            gateway.stop()


def room_key(name: str) -> str:
    """Return a key of the one wave."""
    return key("gw", "load", system.WAVE, name)


def _story(client: Any, scenario: Scenario) -> Story:
    """Read when passes were issued: their expiry is a life after it, on the wave's own clock."""
    names = "clock_us", "last_us", "opens_at_us"
    clock_us, last_us, opens_at_us = map(int, client.hmget(room_key("room"), names))
    opened_us = clock_us - (last_us - opens_at_us) + PASS_TTL_S * 1_000_000
    expiries = client.zrange(room_key("expiries"), 0, -1, withscores=True)
    return Story(scenario, passes=[(int(score) - opened_us, -1) for _, score in expiries])


@dataclass(slots=True)
class _Crowd:
    url: str
    client: Any  # redis.Redis
    scenario: Scenario
    stocks: list[float] = field(default_factory=list)  # once it has settled, beside the aim

    async def live(self) -> None:
        """Join, and wait for one's turn, until the run is over."""
        present = round(self.scenario.people * (1 - self.scenario.no_show_share))
        # Those who will not show up have joined too; only their numbers are to be seen of them.
        self.client.hincrby(room_key("room"), "issued", self.scenario.people - present)
        connector = aiohttp.TCPConnector(limit=200)
        jar = aiohttp.DummyCookieJar()
        async with aiohttp.ClientSession(
            self.url, connector=connector, cookie_jar=jar, skip_auto_headers=["Content-Type"]
        ) as session:
            gate = asyncio.Semaphore(JOINS_AT_ONCE)
            tasks = [
                asyncio.create_task(_Visitor(session, random.Random(i)).live(gate))
                for i in range(present)
            ]
            await asyncio.sleep(self._left_s() - self.scenario.seconds + SETTLED_US / 1e6)
            while self._left_s() > 0:
                self._note_stock()
                await asyncio.sleep(TICK_US / 1e6)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            for task in tasks:
                if not task.cancelled() and (error := task.exception()):
                    raise error

    def _note_stock(self) -> None:
        called = int(self.client.hget(room_key("room"), "called"))
        stock = self.client.bitcount(room_key("present"), 0, called - 1, "BIT") if called else 0
        self.stocks.append(stock / (self.scenario.rate_per_s * self.scenario.check_in_s))

    def _left_s(self) -> float:
        values = self.client.hmget(room_key("room"), "opens_at_us")
        seconds, fraction = self.client.time()
        to_opening_s: float = int(values[0]) / 1e6 - seconds - fraction / 1e6
        return to_opening_s + self.scenario.seconds + 1.0


@dataclass(slots=True)
class _Visitor:
    session: aiohttp.ClientSession
    rng: random.Random
    ticket: str = ""

    async def live(self, gate: asyncio.Semaphore) -> None:
        async with gate:
            joined = await self._ask("POST", "tickets")
        self.ticket = joined["ticket"]
        await self._wait(joined["poll_s"])
        while True:
            place = await self._ask("GET", "place")
            if place["state"] == "called":
                if await self._is_admitted():
                    return
                continue
            await self._wait(place["poll_s"])
            if place["state"] == "waiting" and place["poll_s"] > FAR_S:
                await self._watch_board(place["position"])

    async def _is_admitted(self) -> bool:
        while True:
            answer = await self._ask("POST", "pass")
            if "pass" in answer:
                return True
            await self._wait(answer["retry_in_ms"] / 1000)
            if answer["state"] != "called":
                return False

    async def _watch_board(self, position: int) -> None:
        while (board := await self._ask("GET", "board"))["near"] <= position:
            await self._wait(far_poll_s(position, board))

    async def _wait(self, seconds: float) -> None:
        jittered_s = seconds * self.rng.uniform(1 - JITTER, 1 + JITTER)
        await asyncio.sleep(max(WAIT_S_MIN, NETWORK_US / 1e6, jittered_s))

    async def _ask(self, method: str, what: str) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self.ticket}"} if self.ticket else {}
        path = f"/v1/waves/{system.WAVE}/{what}"
        while True:
            async with self.session.request(method, path, headers=headers) as answer:
                document: dict[str, Any] = await answer.json(content_type=None)
            if answer.status < 400:
                return document
            if answer.status != 503:
                raise RuntimeError(f"{method} {what}: {answer.status} {document}")
            await self._wait(document["retry_in_ms"] / 1000)
