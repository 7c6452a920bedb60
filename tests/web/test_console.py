"""The console over HTTP: its login, what a cookie may do, and what its page may load."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from gateway.core.credentials import Role
from gateway.web.console import FILES
from tests.operations_house import OperatorsHouse

POLICY = "/v1/waves/wave-1/policy"
SESSION = "/v1/session"

Client = TestClient[web.Request, web.Application]


@pytest.fixture
def house() -> OperatorsHouse:
    return OperatorsHouse()


@pytest.fixture
async def client(house: OperatorsHouse) -> AsyncIterator[Client]:
    async with TestClient(TestServer(house.app())) as client:
        yield client


async def log_in(house: OperatorsHouse, client: Client, role: Role = Role.OPERATOR) -> str:
    """Have the client hold a login; return the Set-Cookie header."""
    headers = {"Authorization": f"Bearer {house.credentials[role]}"}
    async with client.post(SESSION, headers=headers) as response:
        assert response.status == 200
        return response.headers["Set-Cookie"]


def own(client: Client) -> dict[str, str]:
    return {"Origin": str(client.make_url("")).rstrip("/"), "If-Match": "1", "X-Reason": "x"}


async def put(client: Client, headers: dict[str, str]) -> tuple[int, str]:
    async with client.put(POLICY, json={"paused": True}, headers=headers) as response:
        document: dict[str, Any] = await response.json(content_type=None)
        return response.status, str(document.get("type", "")).rpartition("/")[2]


async def test_a_login_is_a_cookie_that_no_script_reads_and_no_other_site_sends(
    house: OperatorsHouse, client: Client
) -> None:
    told = await log_in(house, client)
    for word in ("HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=28800"):
        assert word in told
    assert told.startswith("console=1.operator.")
    assert house.credentials[Role.OPERATOR] not in told
    assert told != await log_in(house, client), "new at each login"
    async with client.get(SESSION) as response:
        assert await response.json() == {"id": "operator", "role": "operator"}
    assert (await client.get("/v1/status")).status == 200


async def test_what_a_login_changes_must_come_from_the_consoles_own_page(
    house: OperatorsHouse, client: Client
) -> None:
    await log_in(house, client)
    assert await put(client, {"If-Match": "1"}) == (403, "cross-site")
    assert await put(client, own(client) | {"Origin": "https://evil.example"}) == (
        403,
        "cross-site",
    )
    assert await put(client, own(client) | {"Sec-Fetch-Site": "cross-site"}) == (403, "cross-site")
    assert not house.made()
    assert await put(client, own(client)) == (200, "")
    (record,) = house.made()
    assert record["who"] == "operator"


async def test_a_login_may_do_what_its_credential_may_and_ends_with_it(
    house: OperatorsHouse, client: Client
) -> None:
    await log_in(house, client, Role.VIEWER)
    assert await put(client, own(client)) == (403, "role-missing")
    house.operators.clear()
    assert (await client.get("/v1/status")).status == 401


async def test_logging_out_takes_the_cookie_away_and_a_login_makes_no_other(
    house: OperatorsHouse, client: Client
) -> None:
    await log_in(house, client)
    async with client.post(SESSION, headers=own(client)) as response:
        assert response.status == 401, "a login is made of a credential, not of a login"
    assert (await client.delete(SESSION, headers=own(client))).status == 200
    assert (await client.get("/v1/status")).status == 401


async def test_activity_keeps_a_login_and_looking_does_not(
    house: OperatorsHouse, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    await log_in(house, client)
    monkeypatch.setattr("gateway.core.sessions.TOUCH_S", 0)
    assert "Set-Cookie" not in (await client.get(SESSION)).headers
    assert "Set-Cookie" in (await client.get(SESSION, headers={"X-Active": "1"})).headers


async def test_the_page_loads_its_own_files_by_exact_name_and_runs_nothing_else(
    client: Client,
) -> None:
    for path in ("/", "/wall"):
        response = await client.get(path)
        text = await response.text()
        policy = response.headers["Content-Security-Policy"]
        assert "default-src 'none'; script-src 'self'; style-src 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert " style=" not in text
        assert "<script>" not in text
        assert "http://" not in text
        assert "https://" not in text
        for name in (path.rpartition("/")[2] for path in FILES):
            assert f'"/console/{name}"' in text
            file = await client.get(f"/console/{name}")
            assert file.status == 200
            again = {"If-None-Match": file.headers["ETag"]}
            assert (await client.get(f"/console/{name}", headers=again)).status == 304
    for name in ("none.js", "LICENSE", "console.html", "..%2foperator.py"):
        assert (await client.get(f"/console/{name}")).status in {400, 404}


async def test_fifteen_minutes_are_there_for_whoever_opens_the_page_late(
    house: OperatorsHouse, client: Client
) -> None:
    for second in range(1_000):
        house.see_at(second, admitted=second, issued=2 * second)
        house.condition.fleet_traffic = {"hits_per_s": 2.0 * second, "shed_per_s": 0.5}
        await house.steward.look(house.room())
    await log_in(house, client, Role.VIEWER)
    async with client.get("/v1/waves/wave-1/trail") as response:
        columns = await response.json()
    assert {len(values) for values in columns.values()} == {900}
    assert columns["admitted"][-1] == 999
    assert (columns["hits_per_s"][-1], columns["shed_per_s"][-1]) == (1_998.0, 0.5)
    assert columns["at_s"][-1] - columns["at_s"][0] == 899
    async with client.get("/v1/waves/wave-2/trail") as response:
        assert set((await response.json()).keys()) == set(columns)
    async with client.get("/v1/waves/wave-1/forecast") as response:
        document = await response.json()
    assert document["now"] == document["after"]


@pytest.mark.parametrize("number", ["-1", "x", "1.5", "1e3", "9999999999", "%D9%A1"])
async def test_a_number_that_is_none_finds_no_ticket(
    house: OperatorsHouse, client: Client, number: str
) -> None:
    await log_in(house, client, Role.HELPDESK)
    assert (await client.get(f"/v1/tickets/{number}?wave=wave-1")).status == 404
    assert (await client.get("/v1/tickets/1")).status == 404, "which wave?"
    assert house.port.asked == []
