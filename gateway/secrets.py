"""Which keys does this deployment sign with? One file each, made together at the first start.

``ticket.key`` and ``pass.key`` hold "<id> <64 hex digits>"; ``.previous`` and ``.next`` beside them
verify and never sign. ``pepper.key`` and ``draw.key`` hold 64 hex digits. Files are 0400 in a 0700
directory, and all or none of them are made: a new pepper beside old registrations would let
everybody register again. ``payload-<programme>.key``, in the form of ``ticket.key``, seals the forms of
one programme; ``console.key``, 64 hex digits, signs the logins of the console. ``ctl.credential`` opens the
operators' listener from this machine, and ``operators.json`` holds the digests of all credentials.
"""

import os
import re
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gateway.core.credentials import Role, enrol, write_operators
from gateway.core.tickets import Key, Keyring
from gateway.faults import ConfigurationError, Fault

KEY_BYTES = 32
RINGS = ("ticket.key", "pass.key")
SINGLES = ("pepper.key", "draw.key")
CONSOLE = "console.key"
CREDENTIAL, OPERATORS = "ctl.credential", "operators.json"
OPERATOR_ID = "local"
RING_LINE = re.compile(r"(0|[1-9][0-9]{0,2}) ([0-9a-f]{64})\n?")
SINGLE_LINE = re.compile(r"([0-9a-f]{64})\n?")
CREDENTIAL_LINE = re.compile(r"([!-~]{1,4096})\n?")
OTHERS = 0o007  # the permission bits of everybody else; a group may read, as mounted secrets need


@dataclass(frozen=True, slots=True)
class Secrets:
    """All keys of a process. None of them is ever shown."""

    ticket: Keyring = field(repr=False)
    pass_: Keyring = field(repr=False)
    pepper: bytes = field(repr=False)  # of person digests; never changes inside a programme
    draw: bytes = field(repr=False)  # each wave's draw secret is derived from it
    payload: Mapping[str, Keyring] = field(default_factory=dict, repr=False)  # by programme
    console: bytes = field(default=b"", repr=False)  # of logins; empty: nobody can log in


def exist(directory: str | Path) -> bool:
    """Say whether any key is there already."""
    return any((Path(directory) / name).exists() for name in RINGS + SINGLES)


def make_secrets(directory: str | Path) -> None:
    """Make new keys and the first operator's credential: after a crash all or none are there.

    Raises:
        OSError: the directory holds something already, or cannot be made.

    """
    directory = Path(directory)
    directory.parent.mkdir(parents=True, exist_ok=True)
    lines = {name: f"1 {secrets.token_hex(KEY_BYTES)}\n" for name in RINGS}
    lines |= {name: f"{secrets.token_hex(KEY_BYTES)}\n" for name in SINGLES}
    draft = Path(tempfile.mkdtemp(prefix=".secrets-", dir=directory.parent))  # 0700 from birth
    try:
        for name, line in (lines | _first_operator()).items():
            _write(draft / name, line)
        _sync(draft)
        draft.rename(directory)
        _sync(directory.parent)
    except OSError:
        shutil.rmtree(draft, ignore_errors=True)
        raise


def make_payload_keys(directory: str | Path, programme_ids: Iterable[str]) -> None:
    """Make the payload keys that are missing: whoever destroys one has erased the sealed forms."""
    directory = Path(directory)
    for path in (payload_file(directory, each) for each in programme_ids):
        if not path.exists():
            _write(path, f"1 {secrets.token_hex(KEY_BYTES)}\n")
            _sync(directory)


def make_console_key(directory: str | Path) -> None:
    """Make the key of the console's logins where it is missing."""
    path = Path(directory) / CONSOLE
    if not path.exists():
        _write(path, f"{secrets.token_hex(KEY_BYTES)}\n")
        _sync(path.parent)


def payload_file(directory: str | Path, programme_id: str) -> Path:
    """Return where a programme's payload key lies."""
    return Path(directory) / f"payload-{programme_id}.key"


def _first_operator() -> dict[str, str]:
    """Return the credential that ``gateway ctl`` takes here, and the list that knows its digest."""
    now_us = time.time_ns() // 1_000
    secret = secrets.token_bytes(KEY_BYTES)
    credential, operator = enrol(OPERATOR_ID, Role.ADMIN, secret, now_us=now_us)
    return {CREDENTIAL: f"{credential}\n", OPERATORS: write_operators([operator])}


def load_secrets(
    directory: str | Path, programme_ids: Iterable[str] = (), *, encrypt: bool = False
) -> Secrets:
    """Read all keys; of payload keys those that are there, or all where forms are to be sealed.

    Raises:
        ConfigurationError: one is missing, malformed, or readable by everybody.

    """
    directory = Path(directory)
    faults: list[Fault] = []
    ticket, pass_ = (_read_ring(directory / name, faults) for name in RINGS)
    pepper, draw = (_read_single(directory / name, faults) for name in SINGLES)
    files = {each: payload_file(directory, each) for each in programme_ids}
    payload = {
        each: _read_ring(path, faults) for each, path in files.items() if encrypt or path.exists()
    }
    console_file = directory / CONSOLE
    console = _read_single(console_file, faults) if console_file.exists() else b""
    if faults or not (ticket and pass_ and pepper and draw):
        raise ConfigurationError(*faults)
    found = {each: ring for each, ring in payload.items() if ring}
    return Secrets(ticket, pass_, pepper, draw, found, console or b"")


def read_credential(path: str | Path) -> str:
    """Read what opens a neighbour's door: one line, kept like a key.

    Raises:
        ConfigurationError: it cannot be read, is empty, or is readable by everybody.

    """
    faults: list[Fault] = []
    wanted = "must hold one line of 1 to 4096 printable ASCII characters"
    match = _match(Path(path), CREDENTIAL_LINE, wanted, faults)
    if match is None:
        raise ConfigurationError(*faults)
    return match[1]


def _write(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(descriptor)


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _read_ring(path: Path, faults: list[Fault]) -> Keyring | None:
    beside = [path.with_name(f"{path.name}.{which}") for which in ("previous", "next")]
    paths = [path, *(other for other in beside if other.exists())]
    keys: list[Key] = []
    for each in paths:
        match = _match(each, RING_LINE, 'must hold "<id> <64 hex digits>"', faults)
        if match and int(match[1]) > 255:
            faults.append(Fault(str(each), "", "the id must be from 0 to 255"))
        elif match:
            keys.append(Key(int(match[1]), bytes.fromhex(match[2])))
    if len(keys) < len(paths):
        return None
    if len({key.id for key in keys}) < len(keys):
        faults.append(Fault(str(path), "", "the keys beside it must have other ids"))
        return None
    return Keyring(keys[0], tuple(keys[1:]))


def _read_single(path: Path, faults: list[Fault]) -> bytes | None:
    match = _match(path, SINGLE_LINE, "must hold 64 hex digits", faults)
    return bytes.fromhex(match[1]) if match else None


def _match(
    path: Path, line: re.Pattern[str], wanted: str, faults: list[Fault]
) -> re.Match[str] | None:
    """Read one file, or add why not to ``faults``. What it holds is never repeated."""
    try:
        if path.stat().st_mode & OTHERS:
            faults.append(Fault(str(path), "", "is open to everybody: chmod 0400 it"))
            return None
        match = line.fullmatch(path.read_text(encoding="ascii"))
    except OSError as error:
        faults.append(Fault(str(path), "", f"cannot be read: {error.strerror}"))
        return None
    except UnicodeDecodeError:
        match = None
    if match is None:
        faults.append(Fault(str(path), "", wanted))
    return match
