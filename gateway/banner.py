"""What does a person see when the system is ready? Where to go, and how to stop it."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from gateway.core.programme import Programme
from gateway.settings import EMBEDDED, Settings, redacted
from gateway.supervise import Running

WAVES_SHOWN_MAX = 4


def shown_waves(programmes: Iterable[Programme], *, now_us: int) -> list[str]:
    """Return the first waves that are not over, as far as their file can tell."""
    waves = [wave for programme in programmes for wave in programme.waves]
    to_come = [wave.id for wave in waves if wave.closes_at.at(now_us) > now_us]
    return to_come[:WAVES_SHOWN_MAX]


def banner(
    settings: Settings, running: Running, waves: Sequence[str], *, ctl: str, took_s: float
) -> str:
    """Return the lines; ``ctl`` is how the operator's command is called here."""
    home = Path(settings.data.dir).resolve()
    redis = "" if settings.redis.url == EMBEDDED else f", Redis at {redacted(settings.redis.url)}"
    again = "" if running.first_start else "; up --fresh begins again"
    rows = [
        ("Applicants", f"{running.public_url}/"),
        *(("", f"{running.public_url}/waves/{wave}") for wave in waves),
        ("Operators", running.operator_url),
        ("", f"{ctl} status"),
        ("Data", f"{home}{redis}{again}"),
        ("Stop", "Ctrl-C; everything is kept"),
    ]
    lines = [f"  {label:<12}{text}" for label, text in rows]
    return "\n".join(["", f"  Ready in {took_s:.1f} s", "", *lines, ""])
