"""How long may each part of a connection's life take, and how much may it serve?"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Deadlines:
    """How long each part of a connection's life may take, and how much it may serve."""

    head_s: float = 10.0  # from the first byte; of the first head, from the connection
    idle_s: float = 75.0  # must exceed that of the proxy in front
    write_s: float = 10.0  # without progress
    request_s: float = 15.0  # its body and its answer together
    linger_s: float = 2.0  # for a client to stop sending a refused body
    requests_max: int = 1000  # then the connection is closed
