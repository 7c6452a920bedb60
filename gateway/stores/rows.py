"""Will this row ever fit, and who stands in its way? The same answers for every store.

Reasons are fixed words: they travel to dead letters, logs and screens, and hold nothing of the row.
"""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import NoReturn

from gateway.core.sealing import is_sealed
from gateway.ports import FencedError, IntakeEntry, Recording, RowOutcome

PERSON_BYTES = 32
WHOLE_MAX = 2**63 - 1  # what a 64-bit column holds

PROBE = IntakeEntry("", "-", "-", "probe", bytes(PERSON_BYTES), b"{}", 0)
PROBES = (PROBE, PROBE, replace(PROBE, receipt="probe-twin"))  # written, repeated, another's person
PROBES_ANSWERED = [Recording.RECORDED, Recording.RECORDED, Recording.DUPLICATE]

Kept = tuple[str, str, bytes, bytes]  # wave_id, programme_id, person, payload


def misfit(row: IntakeEntry) -> str:
    """Return why no try will ever record the row; empty where it fits."""
    if not all(text and text.isascii() for text in (row.receipt, row.wave_id, row.programme_id)):
        return "identifier-invalid"
    if len(row.person) != PERSON_BYTES:
        return "person-invalid"
    if not 0 <= row.accepted_at_us <= WHOLE_MAX:
        return "instant-invalid"
    if not (0 <= row.number <= WHOLE_MAX and 0 <= row.serial <= WHOLE_MAX):
        return "number-invalid"
    if is_sealed(row.payload):
        return "payload-sealed"  # its key is missing, or wrong
    return "" if _is_form(row.payload) else "payload-invalid"


async def put_fitting(
    rows: Sequence[IntakeEntry],
    put: Callable[[Sequence[IntakeEntry]], Awaitable[Sequence[RowOutcome]]],
    reason_against: Callable[[IntakeEntry], str] = misfit,
) -> list[RowOutcome]:
    """Refuse the misfits, put the others, and return one outcome per row, in their order."""
    reasons = [reason_against(row) for row in rows]
    fitting = [row for row, reason in zip(rows, reasons, strict=True) if not reason]
    outcomes = iter(await put(fitting) if fitting else ())
    return [
        RowOutcome(row.receipt, Recording.REJECTED, reason) if reason else next(outcomes)
        for row, reason in zip(rows, reasons, strict=True)
    ]


def check_fences(rows: Sequence[IntakeEntry], fences: Mapping[str, int]) -> None:
    """Let pass what was read under the fences that stand.

    Raises:
        FencedError: a recovery has come between; the store itself put back from a copy looks the same.
    """
    if any(row.fence != fences.get(row.programme_id, 0) for row in rows):
        raise FencedError


def kept(row: IntakeEntry) -> Kept:
    """Return what must be the same in the store for the row to be recorded already."""
    return row.wave_id, row.programme_id, row.person, row.payload


def collision(row: IntakeEntry, standing: Kept | None) -> RowOutcome:
    """Say what a row is whose receipt or person stands in the store.

    ``standing`` is the row under its own receipt; None: there is none, so the person was hit.
    """
    if standing is None:
        return RowOutcome(row.receipt, Recording.DUPLICATE)
    if standing == kept(row):
        return RowOutcome(row.receipt, Recording.RECORDED)
    return RowOutcome(row.receipt, Recording.REJECTED, "receipt-taken")


def _is_form(payload: bytes) -> bool:
    try:
        return isinstance(json.loads(payload.decode(), parse_constant=_refuse), dict)
    except (ValueError, RecursionError):
        return False


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)  # NaN and the infinities are Python's, not JSON's
