"""One schedule from its seed to its verdict: a system, its load, its faults, the healing, the checker."""

import asyncio
import json
import random
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path

import aiohttp

from tests.faults.checker import broken, handed_out
from tests.faults.clients import PATIENCE_S, Applicant
from tests.faults.history import History
from tests.faults.means import perform
from tests.faults.schedules import LOAD_S, Fault, Kind, Schedule, Store, make
from tests.faults.witness import Witness, count_reached, read_remains, rest
from tests.faults.world import OPENS_S, World, discard

EARLY_SHARE = 0.4  # of the applicants, before the opening
RUN_S_MAX = 150.0  # nothing hangs for ever, not even the run itself
END_S_MAX = 40.0  # from the healing: for everybody to come to an end


@dataclass(frozen=True, slots=True)
class Report:
    """What is told of one schedule."""

    seed: int
    broken: Sequence[str] = ()
    folder: str = ""  # kept where something was broken
    faults: Counter[str] = field(default_factory=Counter)
    reached: Counter[str] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)
    skipped: Sequence[str] = ()
    acknowledged: int = 0
    requests: int = 0
    took_s: float = 0.0


def run_seed(seed: int, only: Sequence[Kind] = (), store: Store = Store.SQLITE) -> Report:
    """Run one seed's schedule."""
    return run(make(seed, only, store))


def run(schedule: Schedule) -> Report:
    """Run one schedule in a folder of its own, kept where something was broken."""
    folder = Path(tempfile.mkdtemp(prefix="gwf"))
    history, began_s = History(schedule), time.monotonic()
    try:
        asyncio.run(asyncio.wait_for(_run(schedule, folder, history), RUN_S_MAX))
        faults = broken(history)
    except Exception:  # noqa: BLE001  a run that breaks down has not shown anything to be right
        faults = [f"the run broke down: {traceback.format_exc()}"]
    if faults:
        _keep(folder, history, faults)
    else:
        discard(folder)
    return Report(
        seed=schedule.seed,
        broken=faults,
        folder=str(folder) if faults else "",
        faults=Counter(str(fault.kind) for fault in schedule.faults),
        reached=history.reached,
        ends=Counter(history.ends.values()),
        skipped=history.skipped,
        acknowledged=len(handed_out(history)),
        requests=len(history.events),
        took_s=time.monotonic() - began_s,
    )


async def _run(schedule: Schedule, folder: Path, history: History) -> None:
    async with AsyncExitStack() as stack:
        world = World(schedule, folder, stack)
        await world.start()
        history.skipped = world.skipped
        connector = aiohttp.TCPConnector(limit=0)
        jar = aiohttp.DummyCookieJar()  # each applicant shows its own ticket
        patience = aiohttp.ClientTimeout(PATIENCE_S)
        clients = aiohttp.ClientSession(connector=connector, cookie_jar=jar, timeout=patience)
        session = await stack.enter_async_context(clients)
        seen_enough = asyncio.Event()
        witness = asyncio.create_task(Witness(world, history).watch(seen_enough))
        people = [
            Applicant(person, history, session, world.urls)
            for person in range(schedule.terms.applicants + 1)
        ]
        *crowd, newcomer = people
        dice = random.Random(f"arrivals/{schedule.seed}")
        living = [asyncio.create_task(_arrive(one, dice, schedule)) for one in crowd]
        await asyncio.gather(*(_fault(world, fault) for fault in schedule.faults))
        world.wake_all()
        history.healed_s = time.monotonic()
        probing = asyncio.create_task(_probe(newcomer, history))
        done, late = await asyncio.wait([*living, probing], timeout=END_S_MAX)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        for task in done:
            task.result()
        history.rested = await rest(world)
        seen_enough.set()
        await witness
        history.remains = await read_remains(world)
        count_reached(world, history)
        for slot in world.slots():
            history.reached.update(f"{slot.name[:6]} {what}" for what in slot.starts.elements())


async def _arrive(applicant: Applicant, dice: random.Random, schedule: Schedule) -> None:
    early = dice.random() < EARLY_SHARE
    last_s = max([LOAD_S, *(fault.at_s for fault in schedule.faults)])
    await asyncio.sleep(dice.uniform(0.0, OPENS_S) if early else dice.uniform(OPENS_S, last_s))
    await applicant.live()


async def _fault(world: World, fault: Fault) -> None:
    await asyncio.sleep(fault.at_s)
    await perform(world, fault)


async def _probe(newcomer: Applicant, history: History) -> None:
    """Have somebody come after the healing, and see when the gateway has served it to the end."""
    await newcomer.live()
    history.accepted_again_s = time.monotonic()


def _keep(folder: Path, history: History, faults: Sequence[str]) -> None:
    """Leave what is needed to understand a failure beside the processes' own logs."""
    document = {
        "schedule": repr(history.schedule),
        "broken": list(faults),
        "ends": history.ends,
        "healed_s": history.healed_s,
        "remains": repr(history.remains),
        "events": [asdict(event) for event in history.events],
    }
    text = json.dumps(document, default=str, indent=1)
    (folder / "history.json").write_text(text)
