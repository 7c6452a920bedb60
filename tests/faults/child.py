"""One gateway process of a fault run: the real command line in a fork, with what the run changes in it.

Nothing of this is in the product: pause points, shortened waits and seeded bugs are put over its modules
here, in the child, before it starts. The fork server has imported everything already.
"""

import multiprocessing
import os
import resource
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gateway import cli, compose_deliver  # noqa: F401  preloaded for all children
from tests.faults import bugs, hooks


@dataclass(frozen=True, slots=True)
class Orders:
    """What one process is told."""

    command: str  # serve | deliver
    folder: Path  # of the run
    config: Path
    log: Path
    environ: Mapping[str, str] = field(default_factory=dict)
    bug: str = ""
    descriptors: int = 4_096


def run(orders: Orders) -> None:
    """Be that process until it ends."""
    _die_with_parent()
    _talk_into(orders.log)
    resource.setrlimit(resource.RLIMIT_NOFILE, (orders.descriptors, orders.descriptors))
    inherited = {name: text for name, text in os.environ.items() if not name.startswith("GATEWAY_")}
    os.environ.clear()
    os.environ.update(inherited | dict(orders.environ))
    hooks.install(orders.folder)
    if orders.bug:
        bugs.BUGS[orders.bug].plant()
    sys.argv = ["gateway", orders.command, "--config", str(orders.config)]
    cli.main()


def _talk_into(log: Path) -> None:
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for stream in (1, 2):
        os.dup2(descriptor, stream)
    os.close(descriptor)


def _die_with_parent() -> None:
    """End when the run's process is gone, however it went."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
