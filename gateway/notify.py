"""Who is told that a process is ready? Whoever named a socket in ``NOTIFY_SOCKET``.

This is systemd's protocol, sd_notify(3): a unit of ``Type=notify`` and ``gateway up`` speak it.
"""

import os
import socket
from collections.abc import Mapping

READY = "READY=1"
VARIABLE = "NOTIFY_SOCKET"


def notify(environ: Mapping[str, str], state: str = READY) -> None:
    """Send one state to the supervisor; nothing when there is none."""
    address = environ.get(VARIABLE)
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]  # the abstract namespace
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.connect(address)
        channel.send(f"{state}\nMAINPID={os.getpid()}".encode())
