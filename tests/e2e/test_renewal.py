"""I-60: all processes follow themselves under load, and nobody notices."""

import asyncio
import json
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

import aiohttp
import pytest
from click.testing import CliRunner

from gateway.ctl import ctl
from tests.gateways import RunningGateway, a_gateway
from tests.support import wait_for, wait_until

pytestmark = pytest.mark.timeout(900)

CLIENTS = 24
ROUNDS, ROUNDS_LONG = 3, 20
RENEWED = "all processes were renewed"


@dataclass
class Load:
    """Clients that poll over kept connections, and newcomers that join over new ones."""

    gateway: RunningGateway
    answers: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    slowest_s: float = 0.0
    places: dict[int, int] = field(default_factory=dict)  # client -> number

    async def ask(
        self, session: aiohttp.ClientSession, method: str, path: str, ticket: str = ""
    ) -> dict[str, object]:
        headers = {"Authorization": f"Bearer {ticket}"} if ticket else {}
        began_s = time.monotonic()
        try:
            url = f"{self.gateway.public_url}{path}"
            body: dict[str, object] | None = {} if method == "POST" else None
            async with session.request(method, url, headers=headers, json=body) as response:
                document: dict[str, object] = json.loads(await response.read() or b"{}")
                status = response.status
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            self.failures.append(f"{method} {path}: {type(error).__name__} {error}")
            return {}
        self.slowest_s = max(self.slowest_s, time.monotonic() - began_s)
        self.answers[f"{method} {status}"] += 1
        if status not in (200, 201, 202):
            self.failures.append(f"{method} {path}: {status} {document.get('type')}")
        return document

    async def client(self, number: int) -> None:
        path = f"/v1/waves/{self.gateway.wave}"
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as session:
            joined = await self.ask(session, "POST", f"{path}/tickets")
            ticket, mine, next_look_s = str(joined.get("ticket", "")), joined.get("number"), 0.0
            while True:
                await self.ask(session, "GET", f"{path}/board")
                if time.monotonic() > next_look_s:
                    place = await self.ask(session, "GET", f"{path}/place", ticket)
                    if place.get("number") != mine:
                        self.failures.append(f"client {number} had {mine}, is told {place}")
                    told_s = float(str(place.get("poll_s", 5)))
                    next_look_s = time.monotonic() + told_s / 5  # ten times the pace is the limit
                await asyncio.sleep(0.1)

    async def newcomer(self) -> None:
        path = f"/v1/waves/{self.gateway.wave}/tickets"
        while True:
            async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as session:
                await self.ask(session, "POST", path)
            await asyncio.sleep(0.02)


@asynccontextmanager
async def loaded(gateway: RunningGateway) -> AsyncIterator[Load]:
    load = Load(gateway)
    tasks = [asyncio.create_task(load.client(number)) for number in range(CLIENTS)]
    tasks += [asyncio.create_task(load.newcomer()) for _ in range(2)]
    yield load
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_i60_all_processes_are_renewed_under_load_and_no_request_fails(
    pytestconfig: pytest.Config,
) -> None:
    rounds = ROUNDS_LONG if pytestconfig.getoption("long") else ROUNDS
    with a_gateway(opens_at="+2s", quota=10_000, rate_per_s=1.0, burst=1) as gateway:
        async with loaded(gateway) as load:
            for renewed in range(1, rounds + 1):
                before = processes(gateway)
                gateway.signal(signal.SIGUSR1)
                await wait_until(
                    partial(has_said, gateway, RENEWED, renewed),
                    timeout_s=60,
                    what="all are renewed",
                )
                after = processes(gateway)
                assert len(after) == len(before) == 3
                assert not after & before
        assert load.failures == []
        assert load.answers["GET 200"] > 100 * rounds
        assert load.answers["POST 201"] > 20 * rounds
        assert load.slowest_s < 5


async def test_a_killed_door_resets_nobody_who_has_not_been_taken_yet() -> None:
    """Who connects while a door is away waits for the next: the socket outlives the process."""
    with a_gateway(opens_at="+50m") as gateway:
        for pid in gateway.children("gateway serve"):
            gateway.kill(pid)
        async with aiohttp.ClientSession() as session:
            url = f"{gateway.public_url}/v1/waves/{gateway.wave}/board"
            answers = await asyncio.gather(*(session.get(url) for _ in range(50)))
        assert {answer.status for answer in answers} == {200}


def test_a_reload_is_asked_for_by_an_operator_and_done_when_it_says_so() -> None:
    with a_gateway(opens_at="+50m") as gateway:
        before = processes(gateway)
        words = ["config", "reload", "--reason", "x", "--json"]
        environ = {
            "GATEWAY_CTL_URL": gateway.operator_url,
            "GATEWAY_CTL_CREDENTIAL_FILE": str(gateway.credential_file),
        }

        def all_are_known() -> bool:
            status = json.loads(CliRunner().invoke(ctl, ["status", "--json"], env=environ).stdout)
            return len(status["processes"]) + len(status["deliveries"]) == len(before)

        wait_for(all_are_known, what="every process has told of itself")
        result = CliRunner().invoke(ctl, words, env=environ)
        assert result.exit_code == 0, result.output
        assert json.loads(result.stdout)["renewed"] == len(before) == 3
        assert len(processes(gateway) - before) == 3  # the last one may still finish
        wait_for(lambda: has_said(gateway, RENEWED), what="all are renewed")
        after = processes(gateway)
        settings = gateway.folder / "gateway.toml"
        settings.write_text(settings.read_text() + "[nonsense]\n")
        refused = CliRunner().invoke(ctl, words, env=environ)
        assert refused.exit_code == 2
        assert "nonsense" in refused.stderr
        assert processes(gateway) == after


def processes(gateway: RunningGateway) -> set[int]:
    return {*gateway.children("gateway serve"), *gateway.children("gateway deliver")}


def has_said(gateway: RunningGateway, words: str, times: int = 1) -> bool:
    return sum(words in line for line in gateway.lines) == times


def test_settings_that_are_wrong_renew_nothing_and_say_why() -> None:
    with a_gateway(opens_at="+50m") as gateway:
        before = gateway.children("gateway serve")
        settings = gateway.folder / "gateway.toml"
        text = settings.read_text()
        settings.write_text(text.replace("drain_s = 5", "drain_s = 5000\ncolour = 7"))
        gateway.signal(signal.SIGUSR1)
        wait_for(partial(has_said, gateway, "nothing was restarted"), what="it is said")
        assert any("serve.drain_s" in line for line in gateway.lines)
        assert any("serve.colour" in line for line in gateway.lines)
        assert gateway.children("gateway serve") == before
