"""Dead letters and reconciling over HTTP: told without persons, retried once, audited, by role."""

from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from gateway.core.credentials import Role
from gateway.ports import DeadLetter, PortUnavailableError
from tests.operations_house import OperatorsHouse

RETRY, RECONCILE = "/v1/dead-letters/retry", "/v1/reconciliation"


def a_letter(number: int, wave_id: str = "wave-1") -> DeadLetter:
    return DeadLetter(f"{number}-0", wave_id, f"9{number}-0", "constraint", 5, 1_000, 2_000)


async def ask(
    house: OperatorsHouse, path: str, body: Any = None, role: Role = Role.OPERATOR, reason: str = ""
) -> tuple[int, Any]:
    headers = {"Authorization": f"Bearer {house.credentials[role]}", "X-Reason": reason}
    async with TestClient(TestServer(house.app())) as client:
        method = "GET" if body is None else "POST"
        answer = await client.request(method, path, json=body, headers=headers)
        return answer.status, await answer.json(content_type=None)


async def test_dead_letters_are_told_without_receipts() -> None:
    house = OperatorsHouse()
    house.letters.letters = [a_letter(1), a_letter(2, "wave-2")]
    _, one = await ask(house, "/v1/dead-letters?wave=wave-1", role=Role.VIEWER)
    _, every = await ask(house, "/v1/dead-letters", role=Role.VIEWER)
    (told,) = one["dead_letters"]
    assert len(every["dead_letters"]) == 2
    assert set(told) == {"wave", "id", "entry", "reason", "tries", "age_s", "dead_s"}
    assert (told["wave"], told["id"], told["reason"], told["tries"]) == (
        *("wave-1", "1-0", "constraint", 5),
    )


async def test_some_or_all_are_retried_once_and_audited() -> None:
    house = OperatorsHouse()
    house.letters.letters = [a_letter(1), a_letter(2), a_letter(3), a_letter(4, "wave-2")]
    one, every = {"wave": "wave-1", "ids": ["1-0"]}, {"wave": "wave-1"}
    answers = [await ask(house, RETRY, body, reason="mended") for body in (one, one, every)]
    assert [answer["retried"] for _, answer in answers] == [1, 0, 2]
    _, none = await ask(house, RETRY, {"wave": "wave-2", "ids": []})
    assert none["retried"] == 0, "none named is none, not all"
    assert [letter.wave_id for letter in house.letters.letters] == ["wave-2"]
    told = {(audit["who"], audit["reason"], audit["did"]) for audit in house.letters.audits}
    assert told == {("operator", "mended", RETRY)}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"wave": "wave-1", "ids": "1-0"},
        {"wave": "wave-1", "ids": ["1"]},
        {"wave": "wave-1", "ids": ["1-0"] * 501},
        {"wave": "wave-1", "x": 1},
    ],
    ids=["no wave", "no list", "no id", "too many", "unknown field"],
)
async def test_a_misshapen_retry_changes_nothing(body: Any) -> None:
    house = OperatorsHouse()
    house.letters.letters = [a_letter(1)]
    status, _ = await ask(house, RETRY, body)
    assert status == 422
    assert house.letters.letters
    assert not house.letters.audits


async def test_an_unknown_wave_is_none() -> None:
    house = OperatorsHouse()
    for wave in ("wave-9", "../x"):
        assert (await ask(house, RETRY, {"wave": wave}))[0] == 404
    assert (await ask(house, RETRY, {"wave": 1}))[0] == 404


async def test_viewers_look_and_change_nothing() -> None:
    house = OperatorsHouse()
    for path in (RETRY, RECONCILE):
        assert (await ask(house, path, {"wave": "wave-1"}, Role.VIEWER))[0] == 403
    assert not house.letters.audits


async def test_a_comparison_with_the_store_is_asked_for() -> None:
    house = OperatorsHouse()
    assert (await ask(house, RECONCILE, {"wave": "wave-1"}))[1] == {"asked": {"wave-1": 1}}
    assert set((await ask(house, RECONCILE, {}))[1]["asked"]) == {"wave-1", "wave-2"}


async def test_without_redis_nothing_is_retried() -> None:
    house = OperatorsHouse()
    house.letters.outage = PortUnavailableError("away")
    status, problem = await ask(house, RETRY, {"wave": "wave-1"})
    assert (status, problem["type"].rpartition("/")[2]) == (503, "redis-unavailable")
