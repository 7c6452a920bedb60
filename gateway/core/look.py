"""How does a programme look? A logo and a colour that stays readable (WCAG 2.2, 1.4.3 and 1.4.11)."""

from dataclasses import dataclass

CONTRAST_MIN = 4.5  # of text in or on the colour
# As in the pages' style: what the colour stands on, or what stands on it.
PAPER, BACK = "#ffffff", "#f3f5f7"
PAPER_DARK, ON_DARK = "#161b21", "#0b1218"


@dataclass(frozen=True, slots=True)
class Look:
    """What makes pages a programme's own. Empty: the gateway's."""

    logo: str = ""  # data: address of an image
    colour: str = ""  # "#0b4f8a": of links and buttons
    colour_dark: str = ""  # the same where people prefer dark pages


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of two colours, 1 to 21 (WCAG 2.2, relative luminance)."""
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    red, green, blue = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    return 0.2126 * _linear(red) + 0.7152 * _linear(green) + 0.0722 * _linear(blue)


def _linear(channel: float) -> float:
    return channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4
