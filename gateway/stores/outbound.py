"""May we call there, and what came back? One HTTP service, at one configured URL.

The address is judged when a socket is made for it, so no name, redirect or second look-up leads
elsewhere (server-side request forgery). Replies are bounded in size and time; cookies, proxies of the
environment, compression and redirects are off.
"""

import errno
import io
import ipaddress
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import aiohttp

from gateway.ports import PortUnavailableError

REPLY_BYTES_MAX = 65_536
CONNECTIONS_MAX = 8
RETRY_AFTER_S_MAX = 60.0
LOOPBACK_NAMES = ("localhost",)
NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


class ReplyTooLargeError(PortUnavailableError):
    """A reply of no bearable size: fewer rows at once may get one."""


Address = ipaddress.IPv4Address | ipaddress.IPv6Address
AddressInfo = tuple[int, int, int, str, tuple[str, int] | tuple[str, int, int, int]]


@dataclass(frozen=True, slots=True)
class Reply:
    """What the service said."""

    status: int
    body: bytes
    retry_after_s: float  # 0: it names no time, or had no reason to


class Outbound:
    """Calls to one service. Nothing is opened before the first."""

    def __init__(
        self, url: str, *, deadline_s: float, allow_private: bool = False, credential: str = ""
    ) -> None:
        self._url = url
        self._deadline_s = deadline_s
        self._allow_private = allow_private
        self._is_loopback = is_loopback(url)
        self._headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
        if credential:
            self._headers["Authorization"] = f"Bearer {credential}"
        self._session: aiohttp.ClientSession | None = None
        self._is_closed = False

    async def call(
        self, method: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Reply:
        """Send one request and read the whole reply.

        Raises:
            ReplyTooLargeError: it answered at a length that nobody bears; it may have been carried out.
            PortUnavailableError: no reply; it may have been carried out.
        """
        if self._is_closed:
            raise PortUnavailableError("the store is closed")
        session = self._session = self._session or self._new_session()
        try:
            data = None if body is None else io.BytesIO(body)  # written in parts
            async with session.request(
                method, self._url, data=data, headers=headers, allow_redirects=False
            ) as response:
                text = await _read(response.content)
                wait_s = _retry_after_s(response.headers) if response.status in (429, 503) else 0.0
                return Reply(response.status, text, wait_s)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise PortUnavailableError(f"store: {_told(error)}") from None

    async def close(self) -> None:
        """Close the connections."""
        self._is_closed = True
        if self._session is not None:
            await self._session.close()

    def _new_session(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=CONNECTIONS_MAX, socket_factory=self._socket, use_dns_cache=False
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=self._deadline_s),
            headers=self._headers,
            auto_decompress=False,
            trust_env=False,
        )

    def _socket(self, info: AddressInfo) -> socket.socket:
        family, kind, protocol, _, place = info
        address = ipaddress.ip_address(place[0])
        if not (self._allow_private or is_public(address)) and not (
            self._is_loopback and address.is_loopback
        ):
            raise PermissionError(errno.EACCES, "its address is private (store.allow_private)")
        return socket.socket(family, kind, protocol)


def is_loopback(url: str) -> bool:
    """Say whether the URL itself names this machine."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host in LOOPBACK_NAMES


def is_public(address: Address) -> bool:
    """Say whether an address belongs to the internet at large, also where it wraps another."""
    inner = None
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if address in NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    if inner is not None:
        return is_public(inner)
    return address.is_global and not address.is_multicast


async def _read(content: aiohttp.StreamReader) -> bytes:
    text = bytearray()
    async for chunk in content.iter_any():
        text += chunk
        if len(text) > REPLY_BYTES_MAX:
            raise ReplyTooLargeError(f"store: a reply above {REPLY_BYTES_MAX} bytes")
    return bytes(text)


def _retry_after_s(headers: Mapping[str, str]) -> float:
    said = headers.get("Retry-After", "")
    named_s = float(said) if said.isascii() and said.isdigit() and len(said) < 10 else 0.0
    return min(named_s, RETRY_AFTER_S_MAX)


def _told(error: Exception) -> str:
    """Say what went wrong, without a word of the service's."""
    if isinstance(error, TimeoutError):
        return "no answer within the deadline"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return type(error).__name__
