"""How is one setting spelt? What each kind of value looks like, in the words it is refused with."""

from typing import Annotated

from msgspec import Meta

Host = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9.:_-]{1,253}\Z", description="a host or address")]
Descriptor = Annotated[int, Meta(ge=-1, le=65_535, description="a descriptor, or -1 for none")]
Port = Annotated[
    int, Meta(ge=0, le=65_535, description="a port: 1 to 65535, or 0 for any free one")
]
FilePath = Annotated[str, Meta(pattern=r"\A[^\x00]{1,1024}\Z", description="a path")]
OptionalPath = Annotated[
    str, Meta(pattern=r"\A[^\x00]{0,1024}\Z", description="a path, or nothing")
]
RedisUrl = Annotated[
    str,
    Meta(
        pattern=r"\A(embedded|unix:///\S+|rediss?://\S+)\Z",
        description='"embedded", or a URL: unix:///…, redis://… or rediss://…',
    ),
]
StoreUrl = Annotated[
    str,
    Meta(
        pattern=r"\A(sqlite:///[^\x00]+|(postgresql|https?)://[^\s\x00]+)\Z",
        description="a URL: sqlite:///path/to/file.db, postgresql://… or https://…",
    ),
]
Cidr = Annotated[str, Meta(pattern=r"\A[0-9A-Fa-f.:/]{2,49}\Z", description="a network in CIDR")]


def whole(low: int, high: int, what: str) -> Meta:
    """Bound a whole number, and say so when it is refused."""
    return Meta(ge=low, le=high, description=f"{what}: a whole number from {low} to {high}")
