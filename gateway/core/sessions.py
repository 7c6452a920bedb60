"""Is a browser still logged in to the console? A signed value in a cookie, so that no process keeps a list.

``1.<id>.<begun_s>.<active_s>.<nonce>.<mac>``: whose it is, when it began, when somebody last did something,
128 random bits that are new at each login, and an HMAC-SHA-256 over all of it. Its key is the deployment's
console key together with the digest of the credential, so a credential revoked ends its sessions with it.
"""

import hashlib
import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from gateway.core.credentials import Operator, Role

NONCE_BYTES = 16
IDLE_S_MAX = 15 * 60  # not of those who only look: a wall has no hands
LIFE_S_MAX = 8 * 3_600
TOUCH_S = 60  # activity is written down so often

_TEXT = re.compile(r"1\.([a-z0-9-]{1,32})\.(\d{1,12})\.(\d{1,12})\.([0-9a-f]{32})\.([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Session:
    """One login."""

    operator_id: str
    begun_s: int
    active_s: int  # when somebody last did something
    nonce: str

    def text(self, key: bytes, operator: Operator) -> str:
        """Return it signed."""
        body = f"1.{self.operator_id}.{self.begun_s}.{self.active_s}.{self.nonce}"
        return f"{body}.{_mac(key, operator, body)}"

    def touched(self, now_s: int) -> "Session | None":
        """Return it with somebody active now; None: that is known well enough."""
        return replace(self, active_s=now_s) if now_s - self.active_s >= TOUCH_S else None


def begin(operator: Operator, nonce: bytes, *, now_s: int) -> Session:
    """Return a new login.

    Raises:
        ValueError: the nonce is not 128 random bits.

    """
    if len(nonce) != NONCE_BYTES:
        raise ValueError(f"a nonce has {NONCE_BYTES} bytes")
    return Session(operator.id, now_s, now_s, nonce.hex())


def find(
    operators: Iterable[Operator], key: bytes, text: str, *, now_s: int
) -> tuple[Operator, Session] | None:
    """Return whose login this is; None: nobody's, or over."""
    match = _TEXT.fullmatch(text)
    if match is None or not key:
        return None
    session = Session(match[1], int(match[2]), int(match[3]), match[4])
    owner = next((each for each in operators if each.id == session.operator_id), None)
    if owner is None or not hmac.compare_digest(_mac(key, owner, text[:-65]), match[5]):
        return None
    idle_s_max = LIFE_S_MAX if owner.role is Role.VIEWER else IDLE_S_MAX
    is_over = now_s - session.begun_s >= LIFE_S_MAX or now_s - session.active_s >= idle_s_max
    return None if is_over or owner.expires_at_us <= now_s * 1_000_000 else (owner, session)


def _mac(key: bytes, operator: Operator, body: str) -> str:
    own = hmac.digest(key, operator.digest, hashlib.sha256)
    return hmac.digest(own, body.encode(), hashlib.sha256).hex()
