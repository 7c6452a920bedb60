"""Telling the supervisor."""

import os
import secrets
import socket
import tempfile
from pathlib import Path

from gateway.notify import notify


def test_readiness_is_told_with_the_process_it_concerns() -> None:
    with (
        tempfile.TemporaryDirectory(prefix="gw") as folder,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ears,
    ):
        path = str(Path(folder) / "s")
        ears.bind(path)
        notify({"NOTIFY_SOCKET": path})
        assert ears.recv(100) == f"READY=1\nMAINPID={os.getpid()}".encode()


def test_an_abstract_address_begins_with_an_at_sign() -> None:
    name = f"gateway-{secrets.token_hex(8)}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ears:
        ears.bind(f"\0{name}")
        notify({"NOTIFY_SOCKET": f"@{name}"}, "STOPPING=1")
        assert ears.recv(100).startswith(b"STOPPING=1\n")


def test_without_a_supervisor_nobody_is_told() -> None:
    notify({})
