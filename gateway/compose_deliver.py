"""Where adapters meet services: a delivery, put together and taken apart.

It makes the rooms or puts them back, then delivers; beside it run the keeper of checkpoints, the reconciler
and the autopilot. Told to stop, it finishes and settles the batches in flight.
"""

import os
import random
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from gateway.compose import Programmes, Redis, redis_adapters
from gateway.core.form import content_digest
from gateway.lifecycle import process_name, running, stop_on_signals, wall_clock_us
from gateway.logs import configure
from gateway.metrics import Metrics, metrics_directory
from gateway.secrets import Secrets
from gateway.services.autopilot import Autopilot
from gateway.services.delivery import Delivery
from gateway.services.delivery_hand import Hand
from gateway.services.operations import Condition
from gateway.services.reconciler import Reconciler
from gateway.services.recovery import Keeper
from gateway.settings import Settings
from gateway.store_settings import sealed, store_of
from gateway.stores.unaltered import UnalteredStore
from gateway.watches import prepare_rooms, report_delivery, report_recovery, watch_loop


async def deliver(
    settings: Settings, programmes: Programmes, secrets: Secrets, *, ready: Callable[[], None]
) -> None:
    """Run one delivery until SIGTERM or SIGINT; the batches in flight are settled first."""
    told_to_stop = stop_on_signals()
    configure(settings.log.level)
    metrics = Metrics(metrics_directory(settings.data.dir))
    condition = Condition(process=process_name(), pid=os.getpid())
    store = store_of(settings, secrets.pepper)
    waves = [wave for programme in programmes for wave in programme.waves]
    async with redis_adapters(settings, secrets, condition, metrics.redis_answered) as redis:
        intake = sealed(redis.intake, settings, secrets)
        hand = Hand(condition.process, intake, store, waves)
        keeper = Keeper(
            programmes,
            *(redis.rooms, redis.policies, redis.processes, redis.recovery),
            store,
            hand,
            secrets.pepper,
            report_recovery,
        )
        await prepare_rooms(keeper, told_to_stop)
        delivery = Delivery(
            intake,
            UnalteredStore(store, partial(content_digest, secrets.pepper)),
            waves,
            condition.process,
            max_per_s=settings.store.max_per_s,
            batch_max=settings.store.batch_max,
            slots=settings.store.slots,
            hand=hand,
            meter=metrics,
            rng=random.Random(),  # noqa: S311  it spreads retries, nothing secret
            now_us=wall_clock_us,
        )
        reconciler = Reconciler(waves, redis.tail, store, metrics, now_us=wall_clock_us)
        autopilot = _autopilot(redis, programmes, delivery, condition.process)

        def row() -> dict[str, Any]:
            return {
                "process": condition.process,
                "pid": condition.pid,
                "delivery": delivery.told(),
                "autopilot": autopilot.told(),
                "reconciler": reconciler.told(),
            }

        async with running(
            partial(watch_loop, metrics),
            keeper.run,
            autopilot.run,
            reconciler.run,
            partial(report_delivery, redis.processes, row),
        ):
            ready()
            await delivery.run(told_to_stop)
    await store.close()
    metrics.close()


def _autopilot(redis: Redis, programmes: Programmes, delivery: Delivery, name: str) -> Autopilot:
    waves = [wave for programme in programmes for wave in programme.waves]
    return Autopilot(
        waves,
        redis.rooms,
        redis.policies,
        redis.steering,
        redis.processes,
        delivery,
        name,
        now_us=lambda: time.monotonic_ns() // 1_000,
    )
