"""Who may do what on the operator's listener? Credentials, roles, and the table of what each may ask.

A credential is ``gwo_<id>_<43 characters>_<check>``: whose it is, 32 random bytes in base64url, and
the CRC-32 of all before it in 8 hex digits, so that a mistyped or cut one is told apart without a
look at any list, and a leaked one is found by scanners. Only its SHA-256 is kept: the secret has
256 random bits, so a slow hash would add nothing but load.

``operators.json`` is ``{"version": 1, "operators": [{"id", "role", "sha256", "issued_at",
"expires_at"}]}``, instants in ISO 8601 with offset.
"""

import base64
import hashlib
import hmac
import json
import re
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import IntEnum
from typing import Any

SECRET_BYTES = 32
LIFE_S_MAX = 90 * 86_400
OPERATORS_MAX = 256  # also what one check costs at most: every digest is compared

_ID = r"[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?"
_CREDENTIAL = re.compile(rf"(gwo_({_ID})_[A-Za-z0-9_-]{{43}})_([0-9a-f]{{8}})")
_HEX_DIGEST = re.compile(r"[0-9a-f]{64}")
_MEMBERS = {"id", "role", "sha256", "issued_at", "expires_at"}


class Role(IntEnum):
    """What one may do; each may do what those below it may."""

    VIEWER = 1  # look
    HELPDESK = 2  # look at one ticket
    OPERATOR = 3  # change policies
    ADMIN = 4  # what was promised to the public


ROLES: Mapping[str, Role] = {role.name.lower(): role for role in Role}


@dataclass(frozen=True, slots=True)
class Operator:
    """One credential, as its issuer remembers it."""

    id: str
    role: Role
    digest: bytes = field(repr=False)  # SHA-256 of the credential
    issued_at_us: int
    expires_at_us: int  # from this instant on it opens nothing


# (method, path) -> the least role; None: no credential is asked for. What is not here is refused.
ACCESS: Mapping[tuple[str, str], Role | None] = {
    ("GET", "/"): None,  # the console's page holds nothing before somebody has logged in
    ("GET", "/wall"): None,
    ("GET", "/console/{file}"): None,
    ("GET", "/healthz"): None,
    ("GET", "/readyz"): None,
    ("GET", "/metrics"): None,
    ("GET", "/v1/session"): Role.VIEWER,
    ("POST", "/v1/session"): Role.VIEWER,
    ("DELETE", "/v1/session"): Role.VIEWER,
    ("GET", "/v1/status"): Role.VIEWER,
    ("GET", "/v1/waves/{wave}/trail"): Role.VIEWER,
    ("GET", "/v1/waves/{wave}/forecast"): Role.VIEWER,
    ("GET", "/v1/waves/{wave}/policy"): Role.VIEWER,
    ("PUT", "/v1/waves/{wave}/policy"): Role.OPERATOR,
    ("POST", "/v1/waves/{wave}/undo"): Role.OPERATOR,
    ("GET", "/v1/tickets/{number}"): Role.HELPDESK,
    ("GET", "/v1/audit"): Role.VIEWER,
    ("GET", "/v1/dead-letters"): Role.VIEWER,
    ("POST", "/v1/dead-letters/retry"): Role.OPERATOR,
    ("POST", "/v1/reconciliation"): Role.OPERATOR,
    ("POST", "/v1/reload"): Role.ADMIN,
}
PROMISED: Mapping[str, Role] = {  # fields of a policy
    "quota": Role.ADMIN,
    "beacon": Role.ADMIN,
    "closes_at": Role.ADMIN,
}
LEAST = Role.VIEWER  # to be told that there is nothing at a path


def role_needed(method: str, path: str | None) -> Role | None:
    """Return the least role for a route; ``path`` is its pattern, None where there is no route."""
    return ACCESS.get(("GET" if method == "HEAD" else method, path or ""), LEAST)


def issue(operator_id: str, secret: bytes) -> str:
    """Return the credential for ``secret``, 32 random bytes.

    Raises:
        ValueError: no such id can be, or the secret has another length.

    """
    text = base64.urlsafe_b64encode(secret).rstrip(b"=").decode()
    body = f"gwo_{operator_id}_{text}"
    credential = f"{body}_{_check(body)}"
    if len(secret) != SECRET_BYTES or parse(credential) != operator_id:
        raise ValueError("an id has 1 to 32 of a-z, 0-9 and -, a secret has 32 bytes")
    return credential


def parse(text: str) -> str | None:
    """Return whose credential this would be; None when it is malformed or mistyped."""
    match = _CREDENTIAL.fullmatch(text)
    return match[2] if match and match[3] == _check(match[1]) else None


def digest(text: str) -> bytes:
    """Return what is kept of a credential."""
    return hashlib.sha256(text.encode()).digest()


def find(operators: Iterable[Operator], text: str) -> Operator | None:
    """Return whose credential this is, expired or not; compares with every one, in constant time."""
    if parse(text) is None:
        return None
    given, found = digest(text), None
    for operator in operators:
        if hmac.compare_digest(operator.digest, given):
            found = operator
    return found


def _check(body: str) -> str:
    return f"{zlib.crc32(body.encode()):08x}"


def enrol(operator_id: str, role: Role, secret: bytes, *, now_us: int) -> tuple[str, Operator]:
    """Make a credential that lives as long as one may, and the record of it."""
    text = issue(operator_id, secret)
    now_us -= now_us % 1_000_000  # written to the second
    return text, Operator(operator_id, role, digest(text), now_us, now_us + LIFE_S_MAX * 1_000_000)


def write_operators(operators: Sequence[Operator]) -> str:
    """Return the text of ``operators.json``."""
    rows = [
        {
            "id": operator.id,
            "role": operator.role.name.lower(),
            "sha256": operator.digest.hex(),
            "issued_at": _iso(operator.issued_at_us),
            "expires_at": _iso(operator.expires_at_us),
        }
        for operator in operators
    ]
    return json.dumps({"version": 1, "operators": rows}, indent=2) + "\n"


def read_operators(text: str) -> tuple[Operator, ...]:
    """Read ``operators.json``.

    Raises:
        ValueError: with the place and the reason; never with what stands there.

    """
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError("is not JSON") from None
    if not isinstance(document, dict) or document.get("version") != 1:
        raise ValueError('must be an object with "version": 1')
    rows = document.get("operators")
    if not isinstance(rows, list) or len(rows) > OPERATORS_MAX:
        raise ValueError(f'"operators" must be a list of at most {OPERATORS_MAX}')
    operators = tuple(_read_row(row, f"operators[{index}]") for index, row in enumerate(rows))
    if len({operator.id for operator in operators}) < len(operators):
        raise ValueError("two operators have the same id")
    return operators


def _read_row(row: Any, place: str) -> Operator:
    if not isinstance(row, dict) or row.keys() != _MEMBERS:
        raise ValueError(f"{place}: must have exactly the members {', '.join(sorted(_MEMBERS))}")
    if not all(isinstance(value, str) for value in row.values()):
        raise ValueError(f"{place}: every member must be a text")
    if not re.fullmatch(_ID, row["id"]):
        raise ValueError(f"{place}.id: must have 1 to 32 of a-z, 0-9 and -")
    if row["role"] not in ROLES:
        raise ValueError(f"{place}.role: must be one of {', '.join(ROLES)}")
    if not _HEX_DIGEST.fullmatch(row["sha256"]):
        raise ValueError(f"{place}.sha256: must have 64 hex digits")
    issued_us = _instant_us(row["issued_at"], f"{place}.issued_at")
    expires_us = _instant_us(row["expires_at"], f"{place}.expires_at")
    if not 0 < expires_us - issued_us <= LIFE_S_MAX * 1_000_000:
        raise ValueError(f"{place}.expires_at: must be at most 90 days after issued_at")
    role = ROLES[row["role"]]
    return Operator(row["id"], role, bytes.fromhex(row["sha256"]), issued_us, expires_us)


def _instant_us(text: str, place: str) -> int:
    try:
        instant = datetime.fromisoformat(text)
        offset = instant.utcoffset()
    except ValueError:
        offset = None
    if offset is None:
        raise ValueError(f"{place}: must be an ISO 8601 instant with offset")
    return round(instant.timestamp()) * 1_000_000


def _iso(instant_us: int) -> str:
    return datetime.fromtimestamp(instant_us // 1_000_000, UTC).isoformat()
