"""Every key in Redis, from one function: a programme's keys share a slot by its hash tag.

============  =======  =====================================  ========  =========================
name          type     holds                                  TTL       bounded by
============  =======  =====================================  ========  =========================
room          hash     counters, times, phase, policy numbers  none      its fields
present       bitmap   by position: seen lately                none      1 bit a visitor
fresh         bitmap   by position: seen in this interval      none      1 bit a visitor
left          bitmap   by number: left                         none      1 bit a visitor
missed        bitmap   by number: one pass expired             none      1 bit a visitor
lost          bitmap   by number: two passes expired           none      1 bit a visitor
passes        hash     outstanding passes                      none      form_cap
expiries      zset     their expiry on the wave clock          none      form_cap
spent         hash     number -> receipt and serial            none      quota
intake        stream   accepted, not yet settled               none      intake_cap
persons       hash     person digest -> receipt (programme)    none      quotas of the programme
receipts      hash     receipt -> state (programme)            none      quotas of the programme
policy        hash     revision, document, timer; audit's head  none      6 fields
audit         stream   one record per action, chained          none      100,000 records
dead          stream   what the store will never take          none      quota
settled       stream   recorded, not yet read back             none      100,000 entries
processes     hash     one row per live process                none      processes, pruned
autopilot     hash     its lease: holder, fence, end           none      3 fields
============  =======  =====================================  ========  =========================

All but ``processes`` and ``autopilot`` live as long as the wave; nothing that matters hangs on a TTL.
"""

ROOM_KEYS = (
    "room",
    "present",
    "fresh",
    "left",
    "missed",
    "lost",
    "passes",
    "expiries",
    "spent",
    "intake",
    "persons",
    "receipts",
    "policy",
    "audit",
    "dead",
    "settled",
)
"""The order in which ``prelude.lua`` names its KEYS."""

PROGRAMME_WIDE = frozenset({"persons", "receipts"})


def key(prefix: str, programme_id: str, wave_id: str, name: str) -> str:
    """Return one key: ``gw:{programme}:wave:room``, or ``gw:{programme}:persons`` for all its waves."""
    tagged = f"{prefix}:{{{programme_id}}}"
    return f"{tagged}:{name}" if name in PROGRAMME_WIDE else f"{tagged}:{wave_id}:{name}"


def room_keys(prefix: str, programme_id: str, wave_id: str) -> tuple[str, ...]:
    """Return the KEYS of every room script."""
    return tuple(key(prefix, programme_id, wave_id, name) for name in ROOM_KEYS)


def processes_key(prefix: str) -> str:
    """Return the key of the table of live processes."""
    return f"{prefix}:processes"


def lease_key(prefix: str) -> str:
    """Return the key of the autopilot's lease."""
    return f"{prefix}:autopilot"
