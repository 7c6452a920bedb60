"""How does a receipt stand, for whoever has it, and when is it worth another look?"""

from gateway.core import pacing
from gateway.ports import ReceiptRecord
from gateway.services.rooms import LiveRoom


def state_of(record: ReceiptRecord | None) -> str:
    """Return the state that pages show; what is not found yet has been received all the same."""
    state = record.state if record else "received"
    return state if state in {"received", "recorded"} else "rejected"


def receipt_poll_s(room: LiveRoom, record: ReceiptRecord | None) -> float:
    """Return when a page should look again: ever less often until it is recorded, then never (0)."""
    if state_of(record) != "received":
        return 0.0
    age_us = room.now_us() - record.received_at_us if record else 0
    return pacing.received_poll_s(age_us / 1_000_000)
