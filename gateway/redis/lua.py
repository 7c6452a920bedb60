"""The Lua scripts, as they are sent: header, shared prelude and body in one text.

Every script starts with ``#!lua``, so that a server out of memory refuses it before its first write.
"""

import hashlib
from dataclasses import dataclass, field
from importlib.resources import files

_WITH_STEP = frozenset({"tick", "claim", "change_policy", "steer"})  # those that move the clock
_ALONE = frozenset({"lease"})  # those that know no room


@dataclass(frozen=True, slots=True)
class Script:
    """One script and the name Redis knows it by."""

    name: str
    text: str = field(repr=False)

    @property
    def sha(self) -> str:
        """Return the SHA-1 under which Redis caches the script (a cache key, not a safeguard)."""
        return hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()


def load(name: str) -> Script:
    """Read one script from the package."""
    folder = files("gateway.redis") / "scripts"
    before = [] if name in _ALONE else ["prelude", *(["step"] if name in _WITH_STEP else [])]
    parts = [*before, name]
    body = "\n".join((folder / f"{part}.lua").read_text("utf-8") for part in parts)
    return Script(name, f"#!lua\n{body}")
