"""What an applicant yields to whoever drives it, and what it is sent back."""

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Ask:
    """Send this request."""

    name: str  # stable, for statistics
    method: str
    path: str
    expected: tuple[int, ...]
    cookie: str = ""
    form: Mapping[str, str] | None = None
    etag: str = ""  # of a page that the browser has already


@dataclass(frozen=True, slots=True)
class Wait:
    """Do nothing for a while; the answer to it tells nothing but the time."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. Instants are seconds of the wall clock."""

    status: int  # 0: nothing did
    document: Mapping[str, Any] = field(default_factory=dict)
    retry_s: float | None = None  # from Retry-After or retry_in_ms
    asked_s: float = 0.0
    answered_s: float = 0.0
    etag: str = ""
    first_asked_s: float = 0.0  # of the first of several tries

    @property
    def is_shed(self) -> bool:
        """Whether the gateway said, as it may, to come again later."""
        return self.status == 503 and self.retry_s is not None

    @property
    def is_throttled(self) -> bool:
        """Whether the gateway said that this client asks too often."""
        return self.status == 429 and self.retry_s is not None


Step = Ask | Wait
Way = Generator[Step, Answer, str]  # one life; how it ended
