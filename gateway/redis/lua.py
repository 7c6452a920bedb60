"""The Lua scripts, as they are sent: header, shared prelude and body in one text.

Every script starts with ``#!lua``, so that a server out of memory refuses it before its first write.
"""

import functools
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files

_PARTS = frozenset({"prelude", "step"})  # of other scripts, none of their own
_WITH_STEP = frozenset({"tick", "claim", "change_policy", "steer"})  # those that move the clock
_ALONE = frozenset({"lease"})  # those that know no room


@dataclass(frozen=True)
class Script:
    """One script and the name Redis knows it by."""

    name: str
    text: str = field(repr=False)

    @functools.cached_property
    def sha(self) -> str:
        """Return the SHA-1 under which Redis caches the script (a cache key, not a safeguard)."""
        return hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()


def load(name: str) -> Script:
    """Return one script of the package."""
    return _scripts()[name]


@functools.cache
def _scripts() -> Mapping[str, Script]:
    """Read all of them at once, at the first call: later there may be no descriptor left for a file."""
    folder = files("gateway.redis") / "scripts"
    texts = {
        path.name.removesuffix(".lua"): path.read_text("utf-8")
        for path in folder.iterdir()
        if path.name.endswith(".lua")
    }
    return {name: Script(name, _whole(name, texts)) for name in texts.keys() - _PARTS}


def _whole(name: str, texts: Mapping[str, str]) -> str:
    before = [] if name in _ALONE else ["prelude", *(["step"] if name in _WITH_STEP else [])]
    return "\n".join(["#!lua", *(texts[part] for part in [*before, name])])
