"""What of its person may a browser fill in? HTML's names (WCAG 2.2, 1.3.5), where no field kind says it."""

from typing import Literal

Autocomplete = Literal[
    "name", "given-name", "family-name", "sex",
    "street-address", "address-level1", "address-level2", "address-level3", "postal-code",
]  # fmt: skip
