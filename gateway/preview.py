"""Looking at every page before anybody else does: `gateway preview` serves them on this machine."""

import time
from collections.abc import Callable, Sequence

from gateway.core.programme import Programme
from gateway.faults import CannotStartError
from gateway.lifecycle import stop_on_signals
from gateway.preview_house import preview_app
from gateway.web.listener import start_site

HOST = "127.0.0.1"


async def show(
    programmes: Sequence[Programme], chosen: str | None, port: int, say: Callable[[str], object]
) -> None:
    """Serve every state of the programme with this id, or of the first, until told to stop.

    Raises:
        CannotStartError: there is no such programme.

    """
    programme = next((each for each in programmes if chosen in (None, each.id)), None)
    if programme is None:
        raise CannotStartError(f"no programme {chosen} in the settings")
    told_to_stop = stop_on_signals()
    app = preview_app(programme, time.time_ns() // 1_000)
    site = await start_site(app, HOST, port, reuse_port=False)
    say(f"Every state of {programme.id}: http://{HOST}:{site.port}/preview   (Ctrl-C stops)")
    await told_to_stop.wait()
    await site.close(0)
