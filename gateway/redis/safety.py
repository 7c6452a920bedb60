"""Would a registration sent now be durable? What the server must be set to, and what it is set to.

Checked at start and every ten seconds: a server that loses its promise in mid-run is found out.
"""

from dataclasses import dataclass

from gateway.ports import OutcomeUnknownError, PortUnavailableError
from gateway.redis.channel import Channel, NotPermittedError

WANTED = (
    ("appendonly", "yes", "CONFIG SET appendonly yes, and the same in the server's file"),
    ("appendfsync", "always", "CONFIG SET appendfsync always, and the same in the server's file"),
    (
        "no-appendfsync-on-rewrite",
        "no",
        "CONFIG SET no-appendfsync-on-rewrite no, and the same in the server's file",
    ),
    (
        "maxmemory-policy",
        "noeviction",
        "CONFIG SET maxmemory-policy noeviction, and the same in the server's file",
    ),
)
PERMISSIONS = "config|get and info"  # the scripts ask INFO, too: which run of the server is it?


@dataclass(frozen=True, slots=True)
class Finding:
    """One setting of the server that would break a promise."""

    name: str
    found: str
    wanted: str
    cure: str

    def __str__(self) -> str:
        return f"Redis has {self.name} {self.found}, wanted {self.wanted}. Cure: {self.cure}"


class RedisSafety:
    """Asks the server for what durability rests on."""

    def __init__(self, url: str) -> None:
        self._channel = Channel(url, deadline_s=1.0)

    async def findings(self) -> tuple[Finding, ...]:
        """Return everything that is not as it must be; empty when all is well.

        Raises:
            PortUnavailableError: the server cannot be asked.
        """
        try:
            answer = await self._channel.command("CONFIG", "GET", *(name for name, _, _ in WANTED))
            info = await self._channel.command("INFO", "persistence")
        except OutcomeUnknownError as error:
            raise PortUnavailableError(str(error)) from error
        except NotPermittedError:
            cure = "ACL SETUSER <our user> +config|get +info"
            return (Finding("permissions", "too few", PERMISSIONS, cure),)
        found = {
            name.decode(): value.decode()
            for name, value in zip(answer[::2], answer[1::2], strict=True)
        }
        wrong = [
            Finding(name, found.get(name, "unknown"), wanted, cure)
            for name, wanted, cure in WANTED
            if found.get(name) != wanted
        ]
        if b"aof_last_write_status:ok" not in info:
            cure = "free the disk under the append-only file"
            wrong.append(Finding("aof_last_write_status", "err", "ok", cure))
        return tuple(wrong)

    async def close(self) -> None:
        """Close the connection."""
        await self._channel.close()
