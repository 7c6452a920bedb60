"""What all contract tests share: a server that answers late because the machine is busy breaks no contract."""

import pytest

from gateway.redis import channel


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait longer for a connection than a front door may; what is held to its deadlines sets its own."""
    monkeypatch.setattr(channel, "CONNECT_S", 5.0)
