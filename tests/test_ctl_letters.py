"""``gateway ctl dead-letters`` and ``reconcile``: what they print, and with which code they end."""

import json
import threading
from typing import Any

import pytest

from gateway import ctl_letters
from tests.test_ctl import Gateway, gateway, silence  # noqa: F401  fixtures
from tests.web.test_letters import a_letter


def test_dead_letters_are_listed(gateway: Gateway) -> None:  # noqa: F811
    assert gateway.run("dead-letters", "list").stdout == "no dead letters\n"
    gateway.house.letters.letters = [a_letter(1), a_letter(2)]
    header, one, _ = gateway.run("dead-letters", "list").stdout.splitlines()
    assert header.split()[:4] == ["WAVE", "ID", "REASON", "TRIES"]
    assert one.split()[:4] == ["wave-1", "1-0", "constraint", "5"]
    told = json.loads(gateway.run("dead-letters", "list", "--wave", "wave-1", "--json").stdout)
    assert [letter["id"] for letter in told["dead_letters"]] == ["1-0", "2-0"]


def test_those_named_are_retried_and_again_is_nothing(gateway: Gateway) -> None:  # noqa: F811
    gateway.house.letters.letters = [a_letter(1), a_letter(2)]
    told = "wave-1: 1 tried again, 1 left\n"
    assert gateway.run("dead-letters", "retry", "1-0", "--reason", "mended").stdout == told
    assert gateway.run("dead-letters", "retry", "1-0").stdout.startswith("wave-1: 0 tried again")
    assert gateway.house.letters.audits[0]["reason"] == "mended"


def test_all_are_retried_a_few_hundred_a_call(gateway: Gateway) -> None:  # noqa: F811
    gateway.house.letters.letters = [a_letter(number) for number in range(7)]
    gateway.house.letters.most = 3
    told = json.loads(gateway.run("dead-letters", "retry", "--all", "--json").stdout)
    assert (told["retried"], told["left"]) == (7, 0)


@pytest.mark.parametrize("words", [[], ["1-0", "--all"]], ids=["neither", "both"])
def test_it_is_said_which_are_meant(gateway: Gateway, words: list[str]) -> None:  # noqa: F811
    gateway.house.letters.letters = [a_letter(1)]
    assert gateway.run("dead-letters", "retry", *words).exit_code == 2
    assert gateway.house.letters.letters


def a_delivery(**sweep: Any) -> dict[str, Any]:
    told = {"asked": {"wave-1": 1}, "checked": 1_200, "cost_s": 0.4, "lost": 0, "whole": 1} | sweep
    stocks = {"dead": 0, "settled": 0, "unchecked": 0, "forgotten": 0}
    return {
        "process": "deliver-1",
        "delivery": {"circuit": "open", "capacity_per_s": 99.0, "batches": 0},
        "autopilot": {"wave-1": {"rate_per_s": 9.5, "regime": "falling", "reason": "so it is"}},
        "reconciler": {"waves": {"wave-1": stocks}, "sweeps": {"prakerja": told}},
    }


def tell(gateway: Gateway, row: dict[str, Any]) -> None:  # noqa: F811
    async def alive() -> list[dict[str, Any]]:
        return [row]

    gateway.processes.alive = alive  # type: ignore[method-assign]


def test_a_comparison_is_waited_for_and_told(gateway: Gateway) -> None:  # noqa: F811
    tell(gateway, a_delivery(asked={}))
    threading.Timer(0.3, tell, (gateway, a_delivery())).start()
    result = gateway.run("reconcile")
    assert result.exit_code == 0, result.output
    assert result.stdout == "prakerja: 1,200 receipts compared in 0.4 s, all in the store\n"


def test_what_is_missing_is_an_alarm(gateway: Gateway) -> None:  # noqa: F811
    tell(gateway, a_delivery(lost=3))
    result = gateway.run("reconcile")
    assert (result.exit_code, "3 not in the store" in result.stdout) == (3, True)
    status = gateway.run("status").stdout
    assert "✖ prakerja: 3 recorded registrations are not in the store" in status
    assert "store 99/s, circuit open" in status
    assert "autopilot falling at 9.5/s: so it is" in status


def test_no_delivery_is_a_problem(
    gateway: Gateway,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ctl_letters, "WAIT_S_MAX", 0.3)
    tell(gateway, {"process": "serve-1"})
    assert gateway.run("reconcile").exit_code == 1
