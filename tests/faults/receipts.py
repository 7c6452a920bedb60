"""Which receipts were given, and what has become of them in the end?"""

from tests.faults.history import Event, History
from tests.faults.schedules import LOSSES


def handed_out(history: History) -> dict[str, Event]:
    """Return every receipt that an applicant was given, with the event that gave it first."""
    given: dict[str, Event] = {}
    for event in history.of("register"):
        if event.status == 201:
            given.setdefault(event.document["receipt"], event)
    return given


def lost(history: History) -> set[str]:
    """Return the receipts that are neither recorded nor in the dead letters."""
    kept = {row.receipt for row in history.remains.rows} | set(history.remains.dead)
    return set(handed_out(history)) - kept


def forgot(history: History) -> bool:
    """Say whether Redis was made to forget what it had acknowledged."""
    return bool(history.schedule.kinds & LOSSES)


def duplicates(history: History) -> set[str]:
    """Return the receipts given for whom an earlier one stands, which Redis had forgotten.

    A row that was on its way when Redis forgot may reach the store after recovery has read it.
    """
    if not forgot(history):
        return set()
    niks = {row.payload["nik"] for row in history.remains.rows}
    return {
        receipt
        for receipt, event in handed_out(history).items()
        if history.remains.receipts.get(receipt) == "duplicate"
        and (event.form or {})["nik"] in niks
    }
