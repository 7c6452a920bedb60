"""What does the help desk tell a caller? How one ticket stands, by its number: no name, no receipt.

One round trip. Looking changes nothing: nobody is noted as there because somebody else asked.
"""

from typing import Any

from gateway.core.clock import iso
from gateway.ports import RoomPort
from gateway.services.rooms import LiveRoom

WAITING = "called"  # what the room says of everybody without a pass or an end


async def ticket(room: LiveRoom, port: RoomPort, number: int) -> dict[str, Any] | None:
    """Return how the ticket with this number stands; None: no such number was given.

    Raises:
        PortUnavailableError: Redis is away, or the room has not been seen.
    """
    moment = room.moment()
    if number >= moment.snapshot.issued:
        return None
    standing = await port.look(room.wave, number)
    position = room.position(number)
    state = standing.state
    if state == WAITING:
        is_called = position is not None and position < moment.snapshot.called
        state = WAITING if is_called else moment.waiting_state
    document: dict[str, Any] = {
        "wave": room.wave.id,
        "number": number,
        "state": state,
        "position": position,
        "ahead": None,
        "eta_s": None,
        "at": moment.at,
    }
    if standing.state == WAITING and state != WAITING and position is not None:
        document["ahead"] = max(0, position - moment.snapshot.called)
        document["eta_s"] = moment.eta_s(document["ahead"])
    if state == "admitted":
        document["expires_at"] = iso(standing.expires_at_us, room.programme.zone)
        document["extensions"] = standing.extensions
    return document
