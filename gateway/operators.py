"""Where are operators' credentials kept? ``operators.json`` beside the keys, read again when it changes.

A credential taken out of the file opens nothing within a second. A file that cannot be read while
the gateway runs opens nothing either: better no operator than a revoked one.
"""

import contextlib
import os
import secrets
import time
from dataclasses import replace
from pathlib import Path

import structlog

from gateway.core.credentials import (
    SECRET_BYTES,
    Operator,
    Role,
    enrol,
    find,
    read_operators,
    write_operators,
)
from gateway.faults import ConfigurationError, Fault
from gateway.secrets import CREDENTIAL, OPERATOR_ID, OPERATORS

RENEW_BEFORE_US = 7 * 86_400 * 1_000_000
LOOK_EVERY_S = 0.5
CHANGEABLE_BY_OTHERS = 0o022

_log = structlog.get_logger("gateway.operators")


class OperatorsFile:
    """All credentials that are valid now."""

    def __init__(self, directory: str | Path) -> None:
        """Read the file.

        Raises:
            ConfigurationError: it is missing, malformed, or could have been changed by anybody.

        """
        self._path = Path(directory) / OPERATORS
        self._stamp = _stamp(self._path)
        self._operators = _read(self._path)
        self._looked_at_s = time.monotonic()

    def __call__(self) -> tuple[Operator, ...]:
        """Return them as the file has them, at most half a second ago."""
        now_s = time.monotonic()
        if now_s - self._looked_at_s >= LOOK_EVERY_S:
            self._looked_at_s = now_s
            stamp = _stamp(self._path)
            if stamp != self._stamp:
                self._stamp = stamp
                self._operators = self._read_again()
        return self._operators

    def _read_again(self) -> tuple[Operator, ...]:
        try:
            operators = _read(self._path)
        except ConfigurationError as error:
            _log.error("operators.json cannot be used: nobody is let in", reason=str(error))
            return ()
        _log.info("operators.json has changed", operators=len(operators))
        return operators


def renew_credential(directory: str | Path) -> None:
    """Renew the credential of this machine's own ``gateway ctl``, unless it lives for another week.

    All others' records are kept.

    Raises:
        ConfigurationError: the file that is there cannot be used.
        OSError: the files cannot be written.

    """
    directory, now_us = Path(directory), time.time_ns() // 1000
    listed = directory / OPERATORS
    known = _read(listed) if listed.exists() else ()
    if _lives(directory / CREDENTIAL, known, now_us + RENEW_BEFORE_US):
        return
    text, ctl = enrol(OPERATOR_ID, Role.ADMIN, secrets.token_bytes(SECRET_BYTES), now_us=now_us)
    others = [operator for operator in known if operator.id != OPERATOR_ID]
    # The record first: a credential that nobody knows would be useless, the reverse is renewed.
    _replace(listed, write_operators([*others, ctl]))
    _replace(directory / CREDENTIAL, f"{text}\n")


def listed(directory: str | Path) -> tuple[Operator, ...]:
    """Return all records.

    Raises:
        ConfigurationError: the file cannot be used.

    """
    return _read(Path(directory) / OPERATORS)


def add_operator(
    directory: str | Path, operator_id: str, role: Role, life_s: int, file: Path
) -> Operator:
    """Make a credential, write it into a new file, and keep its digest.

    Raises:
        ConfigurationError: the id is none or is taken, the file is there, or the list cannot be used.
        OSError: a file cannot be written.

    """
    directory = Path(directory)
    known = listed(directory) if (directory / OPERATORS).exists() else ()
    if any(operator.id == operator_id for operator in known):
        raise ConfigurationError(Fault(operator_id, "", "has a credential: revoke it first"))
    if file.exists():
        raise ConfigurationError(Fault(str(file), "", "is there already: name a new file"))
    try:
        secret, now_us = secrets.token_bytes(SECRET_BYTES), time.time_ns() // 1000
        text, made = enrol(operator_id, role, secret, now_us=now_us)
    except ValueError as error:
        raise ConfigurationError(Fault("ID", "", str(error))) from error
    made = replace(made, expires_at_us=made.issued_at_us + life_s * 1_000_000)
    _replace(file, f"{text}\n")
    _replace(directory / OPERATORS, write_operators([*known, made]))
    return made


def revoke_operator(directory: str | Path, operator_id: str) -> None:
    """Forget a credential.

    Raises:
        ConfigurationError: nobody has this id, or the list cannot be used.

    """
    known = listed(directory)
    left = [operator for operator in known if operator.id != operator_id]
    if len(left) == len(known):
        raise ConfigurationError(Fault(operator_id, "", "has no credential"))
    _replace(Path(directory) / OPERATORS, write_operators(left))


def _lives(path: Path, known: tuple[Operator, ...], until_us: int) -> bool:
    try:
        owner = find(known, path.read_text(encoding="ascii").strip())
    except (OSError, UnicodeDecodeError):
        return False
    return owner is not None and owner.expires_at_us > until_us


def _read(path: Path) -> tuple[Operator, ...]:
    try:
        if path.stat().st_mode & CHANGEABLE_BY_OTHERS:
            raise ConfigurationError(
                Fault(str(path), "", "can be changed by others: chmod 0400 it")
            )
        return read_operators(path.read_text(encoding="utf-8"))
    except OSError as error:
        reason = f"cannot be read: {error.strerror}"
    except UnicodeDecodeError:
        reason = "is not UTF-8"
    except ValueError as error:
        reason = str(error)
    raise ConfigurationError(Fault(str(path), "", reason))


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ino, status.st_size


def _replace(path: Path, text: str) -> None:
    """Write a file of mode 0400 whole or not at all."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with contextlib.suppress(FileNotFoundError):
        draft.unlink()
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(text)
        file.flush()
        os.fsync(descriptor)
    draft.rename(path)
