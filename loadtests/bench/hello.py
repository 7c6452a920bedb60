"""What everything is compared with: a bare aiohttp application on uvloop that says hello.

``python -m loadtests.bench.hello`` prints its port and serves until it is ended.
"""

import asyncio

import uvloop
from aiohttp import web


async def hello(_: web.Request) -> web.Response:
    """Answer."""
    return web.Response(text="Hello, world")


async def serve() -> None:
    """Serve on a free port."""
    application = web.Application()
    application.router.add_get("/", hello)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(f"port {runner.addresses[0][1]}", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as running:
        running.run(serve())
