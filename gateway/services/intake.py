"""Registering: a filled form becomes a receipt once it is on disk.

Round trips: one per registration, shared with its batch; Redis replies after its fsync. A form with an
error costs none.
"""

from collections.abc import Callable, Mapping

from gateway.core import receipts
from gateway.core.form import FieldError, canonical_json, check, content_digest, person_digest
from gateway.core.tickets import Credential
from gateway.ports import Accepted, IntakePort, ReceiptRecord, Refusal, Registration
from gateway.services.rooms import LiveRoom


class Intake:
    """Takes registrations in."""

    def __init__(
        self,
        port: IntakePort,
        programme_ids: tuple[str, ...],
        pepper: bytes,
        token_bytes: Callable[[int], bytes],
    ) -> None:
        self._port = port
        self._programme_ids = programme_ids
        self._pepper = pepper
        self._token_bytes = token_bytes

    async def register(
        self, room: LiveRoom, held: Credential, values: Mapping[str, object]
    ) -> Accepted | Refusal | tuple[FieldError, ...]:
        """Check the form, spend the pass, answer with the receipt.

        Raises:
            OutcomeUnknownError: repeat the request, it gives the definite answer.
        """
        checked = check(room.programme.fields, values)
        if isinstance(checked, tuple):
            return checked
        content = canonical_json(checked)
        person = checked[room.programme.person_field]
        registration = Registration(
            number=held.number,
            serial=held.serial,
            receipt=receipts.make(self._token_bytes(16)),
            person=person_digest(self._pepper, room.programme.id, person),
            content=content_digest(self._pepper, content),
            payload=content,
        )
        return await self._port.accept(room.wave, registration)

    async def receipt(self, text: str) -> ReceiptRecord | None:
        """Look a receipt up as somebody typed it; a mistyped one costs no round trip."""
        receipt = receipts.parse(text)
        if receipt is None:
            return None
        for programme_id in self._programme_ids:
            record = await self._port.find_receipt(programme_id, receipt)
            if record is not None:
                return record
        return None
