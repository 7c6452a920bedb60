"""placeholder until the form lands"""
from dataclasses import dataclass
@dataclass(frozen=True, slots=True)
class Field:
    name: str
