"""How does a template become a page? Its texts, its style, its script, and the policy that fits them.

A page that asks again by itself does so by a ``Refresh`` header, and only where it offers to stop that.
"""

import gzip
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from aiohttp import web
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from gateway.core.look import Look
from gateway.core.programme import Programme
from gateway.web import assets
from gateway.web.negotiation import accepts_gzip
from gateway.web.texts import LANGUAGES, Speech, speech

PERSONAL_LEVEL = 6  # of gzip: for one reading only
HTML = "text/html; charset=utf-8"
_LOOKS: Mapping[str, Sequence[str]] = {"wave.html": ("style",)}  # the others need more
_SCRIPTS: Mapping[str, Sequence[str]] = {
    "wave.html": ("common", "room"),
    "draw.html": ("common", "keep", "draw", "proof"),
    "receipt.html": ("print",),
}
_WITH_FILE = frozenset({"wave.html"})


@cache
def _templates() -> Environment:
    return Environment(
        loader=FileSystemLoader(str(files("gateway.web") / "pages" / "templates")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


class Sheets:
    """Pages of any template."""

    def html(self, template: str, language: str, **values: Any) -> bytes:
        """Render one template that belongs to no programme."""
        return self.render(template, speech(language), None, "", values)[0]

    def render(
        self,
        template: str,
        says: Speech,
        programme: Programme | None,
        path: str,  # of the same page in another language; empty: there is none
        values: Mapping[str, Any],
    ) -> tuple[bytes, dict[str, str]]:
        """Return a page and its headers."""
        look = programme.look if programme else Look()
        style = assets.style(*_LOOKS.get(template, ("style", "more")), look=look)
        wanted = values.get("scripts", _SCRIPTS.get(template, ()))
        script = assets.script(*wanted) if wanted else ""
        body = (
            _templates()
            .get_template(template)
            .render(
                {
                    "language": says.language,
                    "t": says,
                    "style": Markup(style),  # noqa: S704  our own file, named in the policy
                    "script": Markup(script),  # noqa: S704  the same
                    "logo": look.logo,
                    "name": says.of(programme.name) if programme else says("home.title"),
                    "help_line": says.of(programme.help_line) if programme else "",
                    "others": _others(says.language, path),
                }
                | dict(values)
            )
        )
        csp = assets.policy(style=style, script=script, with_file=template in _WITH_FILE)
        return body.encode(), {"Content-Type": HTML, "Content-Security-Policy": csp}

    def personal(
        self,
        request: web.BaseRequest,
        template: str,
        says: Speech,
        programme: Programme | None,
        path: str = "",
        *,
        refresh_s: int = 0,
        **values: Any,
    ) -> web.Response:
        """Return a page that nobody keeps; where it asks again by itself, with when.

        It may be compressed though it holds a person's own: nothing that a stranger can send is ever
        repeated in it, so its length tells nobody anything.
        """
        body, headers = self.render(template, says, programme, path, values)
        headers |= {"Cache-Control": "no-store", "Vary": "Accept-Encoding"}
        if refresh_s:
            headers["Refresh"] = str(refresh_s)
        if accepts_gzip(request):
            headers["Content-Encoding"] = "gzip"
            body = gzip.compress(body, PERSONAL_LEVEL, mtime=0)
        return web.Response(body=body, headers=headers)


def _others(language: str, path: str) -> list[dict[str, str]]:
    """Return the links to the same page in the other languages, each named in its own."""
    return [
        {"language": other, "href": f"{path}?lang={other}", "name": speech(other)("language.name")}
        for other in LANGUAGES
        if other != language and path
    ]
