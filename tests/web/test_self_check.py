"""Start is refused where a limit does not bite."""

from typing import Any

import pytest

from gateway.web import express, listener, security
from gateway.web.express import Connection
from gateway.web.listener import UnfitRuntimeError
from gateway.web.self_check import check_limits


async def test_every_limit_bites() -> None:
    await check_limits()


@pytest.mark.parametrize(
    ("limit", "owner", "name", "value"),
    [
        ("length of the request line", express, "TARGET_BYTES_MAX", 100_000),
        ("number of fields", express, "FIELDS_MAX", 10_000),
        ("sum of the fields", security, "HEAD_BYTES_MAX", 100_000),
        ("deadline of a head", Connection, "abort", lambda _self: None),
    ],
)
async def test_one_that_does_not_is_named(
    monkeypatch: pytest.MonkeyPatch, limit: str, owner: Any, name: str, value: Any
) -> None:
    monkeypatch.setattr("gateway.web.self_check.PATIENCE_S", 1.0)
    monkeypatch.setattr(owner, name, value)
    with pytest.raises(UnfitRuntimeError, match=f"does not bite: {limit}"):
        await check_limits()


async def test_without_check_of_the_head_it_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listener, "check_head", lambda _request: None)
    with pytest.raises(UnfitRuntimeError, match="sum of the fields"):
        await check_limits()
