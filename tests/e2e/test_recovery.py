"""I-7, I-8, I-23, I-26, I-28: Redis loses what it held, in mid-launch, and nobody's place is lost.

Emptied while it runs, started again empty, started again from an old copy: numbers go on behind all
that were given, old tickets keep their order, whoever is registered stays registered.
"""

from collections.abc import Callable, Iterator

import pytest

from tests.applicants import Applicant, call, nik
from tests.gateways import RunningGateway, a_gateway
from tests.support import wait_for
from tests.valkeys import OwnValkey

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def server() -> Iterator[OwnValkey]:
    valkey = OwnValkey()
    valkey.start()
    yield valkey
    valkey.kill()


def emptied(server: OwnValkey) -> None:
    with server.client() as client:
        client.flushall()


def started_again_empty(server: OwnValkey) -> None:
    server.kill()
    server.lose_log()
    server.start()


def started_from_an_old_copy(server: OwnValkey) -> None:
    server.kill()
    server.put_back_log("early")
    server.start()


def try_call(url: str, method: str, bearer: str | None = None) -> tuple[int, dict[str, object]]:
    try:
        return call(url, method, bearer=bearer)
    except OSError:
        return 0, {}


@pytest.mark.parametrize("loss", [emptied, started_again_empty, started_from_an_old_copy])
def test_a_lost_room_is_put_back_in_mid_launch(
    server: OwnValkey, loss: Callable[[OwnValkey], None]
) -> None:
    with a_gateway(rate_per_s=4.0, burst=1, redis_url=server.url, quota=30) as gateway:
        early = joined(gateway, range(4))
        server.copy_log("early")
        people = early + joined(gateway, range(4, 14))
        wait_for(lambda: positions(people), timeout_s=10, what="everybody has a position")
        order = [applicant.place["position"] for applicant in people]
        assert sorted(order) == list(range(14))
        registered = people[order.index(0)]
        registered.wait_for_turn()
        registered.claim()
        assert registered.register()[0] == 201
        wait_for(lambda: registered.receipt_state() == "recorded", what="recorded before the loss")

        loss(server)

        newcomers: list[Applicant] = []

        def reopened() -> bool:
            newcomer = Applicant(gateway.public_url, gateway.wave, person=20)
            status, document = try_call(newcomer.url("tickets"), "POST")
            if status != 201:
                return False
            assert document["number"] not in range(14), "a number was given twice"
            newcomer.ticket = str(document["ticket"])
            newcomers.append(newcomer)
            return True

        wait_for(reopened, timeout_s=20, what="the room takes people again")
        positions(people)
        assert [applicant.place["position"] for applicant in people] == order
        assert registered.receipt_state() == "recorded"
        twin = newcomers[0]
        waiting = [applicant for applicant in people if applicant is not registered]
        for applicant in waiting:
            applicant.wait_for_turn()
            applicant.claim()
            assert applicant.register()[0] == 201
        # I-8: who stands in the store is still registered.
        twin.wait_for_turn()
        twin.claim()
        values = {"nik": nik(registered.person), "name": "Somebody Else"}
        status, problem = call(twin.url("registrations"), "POST", values, twin.held)
        assert (status, problem["type"].rsplit("/", 1)[1]) == (409, "already-registered")


def joined(gateway: RunningGateway, persons: range) -> list[Applicant]:
    people = [Applicant(gateway.public_url, gateway.wave, person) for person in persons]
    for applicant in people:
        applicant.join()
    return people


def positions(people: list[Applicant]) -> bool:
    """Look at every place; say whether all have a position."""
    for applicant in people:
        applicant.look()
    return all(applicant.place["position"] is not None for applicant in people)
