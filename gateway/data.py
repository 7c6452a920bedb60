"""What lies in the data directory, and who may use it? One system at a time.

The lock is inherited by every child, so it is held until the last process that could write is gone,
also when the supervisor is killed.
"""

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gateway.faults import CannotStartError, ConfigurationError, Fault
from gateway.settings import EMBEDDED, Settings, ledger_file

ENDING_S_MAX = 5.0  # for the children of a killed supervisor to be gone
LOOK_S = 0.05
SOCKET_DIRECTORY_BYTES_MAX = 88  # the kernel takes 107 bytes for the path of a socket


class DataInUseError(CannotStartError):
    """Another system runs on these data."""


def valkey_directory(settings: Settings) -> Path:
    """Return where the append-only file lies."""
    return Path(settings.data.dir) / "valkey"


def store_file(settings: Settings) -> Path | None:
    """Return the store's SQLite file; None where registrations are kept elsewhere."""
    scheme, _, place = settings.store.url.partition(":///")
    return Path(place) if scheme == "sqlite" else None


def hold_registrations(settings: Settings) -> bool:
    """Say whether there are data already, made with keys."""
    files = (valkey_directory(settings), ledger_file(settings), store_file(settings))
    return any(file is not None and file.exists() for file in files)


@contextmanager
def socket_directory(settings: Settings) -> Iterator[Path]:
    """Yield where sockets lie: with the data, or elsewhere when that path is too long."""
    home = Path(settings.data.dir).resolve()
    if len(os.fsencode(home)) <= SOCKET_DIRECTORY_BYTES_MAX:
        yield home
        return
    with tempfile.TemporaryDirectory(prefix="gateway-") as elsewhere:
        yield Path(elsewhere)


def lock(directory: Path) -> int:
    """Make the directory and lock it; return the descriptor that holds the lock.

    Raises:
        DataInUseError: somebody else holds it.

    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(directory / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    deadline_s = time.monotonic() + ENDING_S_MAX
    while not _try_lock(descriptor):
        holder = os.pread(descriptor, 20, 0).decode(errors="replace").strip()
        if _is_alive(holder) or time.monotonic() > deadline_s:
            os.close(descriptor)
            raise DataInUseError(
                f"a gateway is already running on {directory} (process {holder or 'unknown'}); "
                "stop it, or choose another data.dir"
            )
        time.sleep(LOOK_S)
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return descriptor


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_alive(holder: str) -> bool:
    """Say whether the process still runs. Somebody else's process counts, too."""
    try:
        os.kill(int(holder), 0)
    except (ValueError, ProcessLookupError):
        return False
    except PermissionError:
        return True
    return True


def delete(settings: Settings) -> None:
    """Remove queue, registrations and keys by name, and nothing outside ``data.dir``.

    Raises:
        ConfigurationError: queue or registrations are kept elsewhere, so nothing was removed.

    """
    home = Path(settings.data.dir).resolve()
    store = store_file(settings)
    if (
        settings.redis.url != EMBEDDED
        or store is None
        or not (store := store.resolve()).is_relative_to(home)
    ):
        reason = f"deletes only what is in {home}; queue or registrations are elsewhere"
        raise ConfigurationError(Fault("--fresh", "", reason))
    shutil.rmtree(valkey_directory(settings), ignore_errors=True)
    for suffix in ("", "-wal", "-shm"):
        store.with_name(store.name + suffix).unlink(missing_ok=True)
    if Path(settings.secrets.dir).resolve().is_relative_to(home):
        shutil.rmtree(settings.secrets.dir, ignore_errors=True)
