"""The operator's way to new settings: all processes of this machine are followed by new ones.

``POST /v1/reload`` with ``{}``. What is wrong is told before anything ends.
"""

import asyncio
from typing import Protocol

from aiohttp import web

from gateway.services.changes import PolicyDesk
from gateway.web.body import read_json
from gateway.web.desk import BODY_BYTES_MAX, by, json_response
from gateway.web.problems import Problem


class Renewal(Protocol):
    """Whoever keeps this process, as far as it may be asked for new ones."""

    def faults(self) -> list[str]:
        """Say what is wrong with the settings as they are now. Reads files."""

    def ask(self) -> None:
        """Have all processes follow themselves; does not wait for it."""


class RenewalDesk:
    """The handler."""

    def __init__(self, renewal: Renewal | None, policies: PolicyDesk, process: str) -> None:
        self._renewal, self._policies, self._process = renewal, policies, process

    async def reload(self, request: web.Request) -> web.Response:
        """Ask for new processes, with the settings as they are now."""
        whose = by(request)
        if await read_json(request, limit_bytes=BODY_BYTES_MAX):
            raise Problem("policy-invalid", "Send {}.")
        if self._renewal is None:
            raise Problem("not-supervised")
        faults = await asyncio.to_thread(self._renewal.faults)
        if faults:
            raise Problem("settings-invalid", " · ".join(faults))
        await self._policies.note(whose, request.path)  # an action without a record is none
        self._renewal.ask()
        return json_response({"renewing": True, "process": self._process})
