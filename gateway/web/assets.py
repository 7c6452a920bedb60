"""Which style and script does a page carry? Modules put together, made small, and named by their hashes.

What stands in a page is named in its Content-Security-Policy, so nothing else runs. Only what the waiting
page does not need in its first second is a file of its own.
"""

import base64
import hashlib
from functools import cache
from importlib.resources import files

from rjsmin import jsmin

from gateway.core.look import Look


@cache
def _read(folder: str, name: str) -> str:
    return (files("gateway.web") / "pages" / folder / name).read_text("utf-8").strip()


@cache
def script(*names: str) -> str:
    """Return modules as one script."""
    return str(jsmin("\n".join(_read("scripts", f"{name}.js") for name in names)))


@cache
def style(*names: str, look: Look) -> str:
    """Return the style in the programme's colours."""
    text = "".join(_read("templates", f"{name}.css").replace("\n", "") for name in names)
    if look.logo:
        text += "header img{height:2.5rem}"
    if look.colour:
        text += f":root{{--deep:{look.colour}}}"
    if look.colour or look.colour_dark:
        dark = look.colour_dark or "#8cc4f5"
        text += f"@media(prefers-color-scheme:dark){{:root{{--deep:{dark}}}}}"
    return text


def policy(*, style: str, script: str, with_file: bool) -> str:
    """Return the Content-Security-Policy of a page: what is named here runs, and nothing else."""
    own = "'self' " if with_file else ""
    runs = own + _hash(script) if script else "'none'"
    return (
        f"default-src 'none'; script-src {runs}; style-src {_hash(style)}; "
        "img-src data:; connect-src 'self'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'; require-trusted-types-for 'script'"
    )


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
