"""What does a person see when the system is ready? Where to go, and how to stop it."""

from collections.abc import Sequence
from pathlib import Path

from gateway.settings import EMBEDDED, Settings, redacted
from gateway.supervise import Running


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
