"""Whose request is it: the peer's, or a client's whom a trusted proxy names? And who is one subscriber?

A proxy appends the address it sees to ``X-Forwarded-For``, so only the end of the list is known to be
true: from the right, the first address that is not itself a trusted proxy's is the client's. What cannot
be read, or is longer than any honest way, says nothing: then the peer counts, whatever it claims.
"""

import ipaddress
from collections.abc import Iterable, Sequence

HOPS_MAX = 5
FORWARDED_CHARACTERS_MAX = 512  # five IPv6 addresses with ports take 240

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Return the networks that are written so.

    Raises:
        ValueError: one is no network, or has bits set behind its prefix, or is everybody.

    """
    found = tuple(ipaddress.ip_network(text) for text in texts)
    if any(network.prefixlen == 0 for network in found):
        raise ValueError("everybody would be believed")
    return found


def is_trusted(peer: str, trusted: Sequence[Network]) -> bool:
    """Say whether what this peer tells of others is believed."""
    address = _read(peer)
    return address is not None and _is_in(address, trusted)


def client(forwarded_for: str, trusted: Sequence[Network]) -> str | None:
    """Return the client whom trusted proxies name; None: what they say cannot be read."""
    hops = forwarded_for.split(",")
    if len(forwarded_for) > FORWARDED_CHARACTERS_MAX or len(hops) > HOPS_MAX:
        return None
    for hop in reversed(hops):
        address = _read(_without_port(hop.strip(" \t")))
        if address is None:
            return None
        if not _is_in(address, trusted):
            return str(address)
    return None  # proxies only: nobody has asked


def subscriber(address: str) -> str:
    """Return what stands for a subscriber; empty for this machine.

    An IPv6 subscriber has a /64 at least, so its 2^64 addresses count as one.
    """
    found = _read(address.partition("%")[0])
    if found is None or found.is_loopback:
        return ""
    if isinstance(found, ipaddress.IPv6Address):
        return str(ipaddress.IPv6Network((found, 64), strict=False))
    return str(found)


def _is_in(address: Address, trusted: Sequence[Network]) -> bool:
    return any(address in network for network in trusted)


def _without_port(hop: str) -> str:
    """Return ``192.0.2.1`` of ``192.0.2.1:80``, ``2001:db8::1`` of ``[2001:db8::1]:80``."""
    if hop.startswith("["):
        return hop[1:].partition("]")[0]
    return hop.partition(":")[0] if hop.count(":") == 1 else hop


def _read(text: str) -> Address | None:
    """Read an address; one of IPv4 written as IPv6 is what it was. Zones mean nothing to others."""
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(found, ipaddress.IPv4Address):
        return found
    return None if found.scope_id else found.ipv4_mapped or found
