"""What may a browser fill in of its person? HTML names (WCAG 2.2, 1.3.5) where no kind of field says it."""

from typing import Literal

Autocomplete = Literal[
    "name", "given-name", "family-name", "sex",
    "street-address", "address-level1", "address-level2", "address-level3", "postal-code",
]  # fmt: skip
