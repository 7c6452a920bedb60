"""What stands in the way of a start? A person is told in one line for each thing to put right."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fault:
    """One reason why a configuration is refused."""

    source: str  # a file, or "environment"
    key: str  # dotted, "public.port"; empty: the source as a whole
    reason: str

    def __str__(self) -> str:
        return ": ".join(part for part in (self.source, self.key, self.reason) if part)


class CannotStartError(Exception):
    """Something stands in the way; the message tells a person what to put right."""


class ConfigurationError(CannotStartError):
    """The configuration must be changed before anything starts; ``faults`` says where and why."""

    def __init__(self, *faults: Fault) -> None:
        super().__init__("\n".join(map(str, faults)))
        self.faults = faults
