"""``gateway export``: which store, which programme, and how far along is it?"""

import asyncio
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import click

from gateway import export
from gateway.core.programme import Programme
from gateway.ports import PortError
from gateway.settings import Settings
from gateway.store_settings import store_of


def run(
    settings: Settings, programmes: Sequence[Programme], programme_id: str, kind: str, path: Path
) -> str:
    """Write the file; return what is said at the end.

    Raises:
        ClickException: the programme is unknown, or its forms cannot be had.
        FileExistsError: nothing is overwritten.
    """
    known = {programme.id: programme for programme in programmes}
    if programme_id not in known:
        raise click.ClickException(f"no programme {programme_id!r}; there is {', '.join(known)}")
    fields = [field.name for field in known[programme_id].fields]
    try:
        count = asyncio.run(_export(settings, programme_id, kind, fields, path))
    except export.FormsElsewhereError:
        told = "the registration service keeps the forms; export them there"
        raise click.ClickException(told) from None
    except PortError as error:
        raise click.ClickException(f"nothing was exported: {error}") from None
    return f"{count} registrations in {path}; they are personal data"


async def _export(
    settings: Settings, programme_id: str, kind: str, fields: Sequence[str], path: Path
) -> int:
    store = store_of(settings, b"")  # nothing is put, so no pepper is needed
    line = export.csv_line(fields) if kind == "csv" else export.json_line
    count = 0
    try:
        with export.new_file(path) as file, _bar(programme_id) as bar:
            file.write(export.csv_head(fields) if kind == "csv" else b"")
            async for written in export.export(store, programme_id, line, file):
                count += written
                bar.update(written)
    finally:
        await store.close()
    return count


def _bar(label: str) -> AbstractContextManager[Any]:
    """Return a bar on the terminal, none elsewhere. It counts: how many there will be is not known."""
    endless: Iterator[int] = (page for page in range(0))
    return click.progressbar(
        endless, label=label, show_pos=True, file=sys.stderr, hidden=not sys.stderr.isatty()
    )
