"""One coroutine per use case, between the core's decisions and the ports."""
