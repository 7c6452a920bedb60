"""``gateway ctl config reload``: who may, what is refused, and when it says that it is done."""

import json
from typing import Any

import pytest

from gateway import ctl_config
from gateway.core.credentials import Role
from gateway.core.snapshot import Phase
from tests.operations_house import MemoryRenewal
from tests.test_ctl import Gateway, gateway, silence  # noqa: F401  fixtures

RELOAD = ("config", "reload", "--reason", "more descriptors")


class Fleet:
    """Processes of two machines; those of the one asked follow themselves, each after another look."""

    def __init__(self, renewed: int = 3) -> None:
        self.renewed, self.looks = renewed, 0

    async def alive(self) -> list[dict[str, Any]]:
        new = min(self.looks, self.renewed)
        self.looks += 1
        pids = [(10 if number < new else 0) + number for number in range(3)]
        told: dict[str, Any] = {"delivery": {}, "reconciler": {"waves": {}, "sweeps": {}}}
        return [
            {"process": f"serve-{pids[0]}", "pid": pids[0]},
            {"process": f"serve-{pids[1]}", "pid": pids[1]},
            {"process": f"serve-{pids[2]}", "pid": pids[2], "autopilot": {}, **told},
            {"process": "other-7", "pid": 7},
        ]


@pytest.fixture
def renewal(gateway: Gateway) -> MemoryRenewal:  # noqa: F811
    assert gateway.house.renewal is not None
    gateway.house.operations._processes = Fleet()
    return gateway.house.renewal


def test_all_processes_of_one_machine_are_waited_for(
    gateway: Gateway,  # noqa: F811
    renewal: MemoryRenewal,
) -> None:
    result = gateway.run(*RELOAD)
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("3 processes were renewed in ")
    assert renewal.asked == 1
    for wave in ("wave-1", "wave-2"):
        (record,) = gateway.house.policies.records[wave]
        assert (record["did"], record["reason"]) == ("/v1/reload", "more descriptors")
    gateway.house.operations._processes = Fleet()
    assert json.loads(gateway.run(*RELOAD, "--json").stdout)["renewed"] == 3


def test_a_process_that_is_not_renewed_is_a_problem(
    gateway: Gateway,  # noqa: F811
    renewal: MemoryRenewal,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ctl_config, "WAIT_S_MAX", 0.8)
    gateway.house.operations._processes = Fleet(renewed=2)
    result = gateway.run(*RELOAD)
    assert result.exit_code == 1
    assert "1 of 3 were not renewed: `gateway up` says why" in result.stderr


def test_it_is_for_admins_who_say_why_while_a_wave_is_open(
    gateway: Gateway,  # noqa: F811
    renewal: MemoryRenewal,
) -> None:
    result = gateway.run(*RELOAD[:2])
    assert (result.exit_code, "wave-1 is open: say why" in result.stderr) == (2, True)
    gateway.credential_file = gateway.hold(gateway.house.credentials[Role.OPERATOR])
    result = gateway.run(*RELOAD)
    assert (result.exit_code, "Role missing" in result.stderr) == (2, True)
    assert renewal.asked == 0


def test_wrong_settings_renew_nothing_and_are_told(
    gateway: Gateway,  # noqa: F811
    renewal: MemoryRenewal,
) -> None:
    renewal.wrong = ["gateway.toml: serve.drain_s: must be a number", "programme.toml: id: missing"]
    result = gateway.run(*RELOAD)
    assert result.exit_code == 2
    for wrong in renewal.wrong:
        assert wrong in result.stderr
    assert renewal.asked == 0
    assert not gateway.house.policies.records


def test_before_people_are_in_the_room_no_reason_is_asked_for(
    gateway: Gateway,  # noqa: F811
    renewal: MemoryRenewal,
) -> None:
    gateway.see(Phase.SCHEDULED)
    assert gateway.run(*RELOAD[:2]).exit_code == 0
    assert renewal.asked == 1
