"""The whole system of real processes: one applicant's way, a killed child, a restart in mid-queue."""

import os
import signal
import sqlite3
import time
from functools import partial
from typing import Any

import pytest

from tests.applicants import Applicant, call
from tests.gateways import RunningGateway, a_gateway
from tests.support import wait_for

pytestmark = pytest.mark.timeout(120)


def is_recorded(applicant: Applicant) -> bool:
    return applicant.receipt_state() == "recorded"


def rows(gateway: RunningGateway) -> list[str]:
    """Return the receipts in the store."""
    with sqlite3.connect(f"file:{gateway.store_file}?mode=ro", uri=True) as store:
        return [row[0] for row in store.execute("select receipt from registrations")]


def test_an_applicant_waits_is_let_in_registers_and_holds_a_receipt(
    running_gateway: RunningGateway,
) -> None:
    applicant = Applicant(running_gateway.public_url, running_gateway.wave, person=1)
    applicant.join()
    assert applicant.join()["ticket"] == applicant.ticket  # I-31
    applicant.wait_for_turn()
    applicant.claim()
    status, first = applicant.register()
    assert (status, first["state"]) == (201, "received")
    assert applicant.register() == (201, first)  # I-10: the same answer, however often
    wait_for(lambda: applicant.receipt_state() == "recorded", what="the receipt is recorded")
    assert rows(running_gateway).count(applicant.receipt) == 1
    assert applicant.look() == "registered"


def test_a_second_person_with_the_same_identity_is_refused(
    running_gateway: RunningGateway,
) -> None:
    first, second = (
        Applicant(running_gateway.public_url, running_gateway.wave, person=2) for _ in range(2)
    )
    for applicant in (first, second):
        applicant.join()
        applicant.wait_for_turn()
        applicant.claim()
    assert first.register()[0] == 201
    other = {"nik": f"320101450790{3:04}", "name": "Somebody Else"}
    status, problem = call(second.url("registrations"), "POST", other, second.held)
    assert (status, problem["type"].rsplit("/", 1)[1]) == (409, "already-registered")
    assert first.receipt not in str(problem)


def test_the_draw_can_be_verified_from_the_board(running_gateway: RunningGateway) -> None:
    from gateway.core import draw

    url = f"{running_gateway.public_url}/v1/waves/{running_gateway.wave}/board"
    boards: list[dict[str, Any]] = []

    def shows_the_secret() -> bool:
        boards.append(call(url)[1])
        return boards[-1]["draw"]["secret"] is not None

    wait_for(shows_the_secret, what="the secret is shown")
    board = boards[-1]
    secret = bytes.fromhex(board["draw"]["secret"])
    assert draw.commitment(secret) == board["draw"]["commitment"]
    seed = draw.seed(secret, "trial", "trial-1", "", board["cohort"])
    assert seed.hex() == board["draw"]["seed"]


@pytest.mark.parametrize("command", ["serve", "deliver", "valkey-server"])
def test_a_killed_child_is_back_within_a_second(
    running_gateway: RunningGateway, command: str
) -> None:
    before = running_gateway.children(command)
    os.kill(before[0], signal.SIGKILL)
    killed_at = time.monotonic()
    wait_for(
        lambda: (
            len(running_gateway.children(command)) == len(before)
            and before[0] not in running_gateway.children(command)
        ),
        what=f"{command} is back",
    )
    assert time.monotonic() - killed_at < 1.0
    applicant = Applicant(running_gateway.public_url, running_gateway.wave)

    def joins() -> bool:
        try:
            return call(applicant.url("tickets"), "POST")[0] == 201
        except OSError:
            return False

    wait_for(joins, what="the gateway takes people again")


def test_a_restart_in_mid_queue_keeps_places_passes_and_registrations() -> None:
    with a_gateway(rate_per_s=2.0, burst=1) as gateway:
        people = [Applicant(gateway.public_url, gateway.wave, person) for person in range(8)]
        for applicant in people:
            applicant.join()
        registered, holding, *waiting = sorted(people, key=lambda a: (a.look(), a.person))
        for applicant in (registered, holding):
            applicant.wait_for_turn()
            applicant.claim()
        assert registered.register()[0] == 201
        order = {}
        for applicant in waiting:
            applicant.look()
            order[applicant.person] = applicant.place["position"]
        assert gateway.stop() == 0
        gateway.start()
        for applicant in people:
            applicant.base = gateway.public_url
        for applicant in waiting:
            applicant.look()
            assert applicant.place["position"] == order[applicant.person]
        assert holding.register()[0] == 201  # the pass is still good
        assert registered.look() == "registered"
        for applicant in waiting:
            applicant.wait_for_turn()
            applicant.claim()
            assert applicant.register()[0] == 201
        for applicant in people:
            wait_for(partial(is_recorded, applicant), what="recorded")
        assert sorted(rows(gateway)) == sorted(a.receipt for a in people)
