"""The knobs from the command line: each is one change of a policy, planned, confirmed and told.

A change is made to the revision that was read; the gateway decides whether it is valid and whether it is
severe, and ``--confirm`` repeats what it wants to be sure of.
"""

import json
import math
import re
from collections.abc import Callable, Sequence
from typing import Any

import click

from gateway import ctl_pause
from gateway.core.policy import BOUNDS
from gateway.ctl_change import Wish, change, choose, undo_change
from gateway.ctl_client import Document
from gateway.ctl_group import (
    client_of,
    command_of,
    dry_run_option,
    reason_option,
    show,
    wave_option,
)
from gateway.ctl_records import history_text
from gateway.ctl_text import policy_text

UNITS_S = {"s": 1, "m": 60, "h": 3_600}
MESSAGE_CHARACTERS_MAX = round(BOUNDS["message"].high)


class Duration(click.ParamType[int]):
    """A length of time such as 90s, 15m or 2h, in seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read it."""
        match = re.fullmatch(r"([0-9]{1,5})([smh])", str(value))
        if match is None:
            self.fail(f"{value} is no length of time: say 90s, 15m or 2h", param, ctx)
        return int(match[1]) * UNITS_S[match[2]]


class ClockTime(click.ParamType[str]):
    """An hour of today as 19:30."""

    name = "hh:mm"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Check it."""
        if re.fullmatch(r"([01][0-9]|2[0-3])[:.][0-5][0-9]", str(value)) is None:
            self.fail(f"{value} is no time of day: say 19:30", param, ctx)
        return str(value).replace(".", ":")


_HOW = (
    wave_option,
    reason_option,
    dry_run_option,
    click.option("--confirm", default="", metavar="VALUE", help="A severe step's value, repeated."),
    click.option("--for", "for_s", type=Duration(), help="Go back by itself after 90s, 15m or 2h."),
)


def knob(
    *options: Callable[[Any], Any], name: str | None = None, of: click.Group | None = None
) -> Callable[[Any], click.Command]:
    """Make a command that changes a policy."""
    return command_of(*_HOW, *options, name=name, of=of)


def wish_of(how: dict[str, Any]) -> Wish:
    """Return what was said with a change."""
    return Wish(**{name: how[name] for name in Wish._fields if name in how})


@knob(
    click.option("--burst", type=int, metavar="B", help="At most one second of rate."),
    click.argument("rate_per_s", metavar="N"),
)
def rate(*, rate_per_s: str, burst: int | None, **how: Any) -> None:
    """Admit N people a second from now on."""
    try:
        number = float(rate_per_s.removesuffix("/s"))
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise click.BadParameter("must be a number, such as 25 or 0.5", param_hint="N")

    def fields(policy: Document) -> Document:
        if burst is not None:
            return {"rate_per_s": number, "burst": burst}
        fitting = max(1, math.floor(number))
        if policy["burst"] <= fitting:
            return {"rate_per_s": number}
        click.echo(f"burst is lowered to {fitting}: at most one second of rate", err=True)
        return {"rate_per_s": number, "burst": fitting}

    change(client_of(), fields, wish_of(how))


@knob(click.argument("people", type=int))
def concurrency(*, people: int, **how: Any) -> None:
    """Let at most so many PEOPLE be on the form at once."""
    change(client_of(), lambda _: {"form_cap": people}, wish_of(how))


@knob(click.argument("places", type=int))
def quota(*, places: int, **how: Any) -> None:
    """Accept so many registrations in all. For admins."""
    change(client_of(), lambda _: {"quota": places}, wish_of(how))


@knob(click.argument("text", default=""))
def message(*, text: str, **how: Any) -> None:
    """Show TEXT on every page; nothing takes it away."""
    change(client_of(), lambda _: {"message": text}, wish_of(how))


@knob(
    click.option("--next-news", type=ClockTime(), help="When there will be news, told to all."),
    click.option("--quiet", is_flag=True, help="Keep the reason off the pages."),
)
def pause(*, next_news: str | None, quiet: bool, **how: Any) -> None:
    """Stop admitting; places are kept, passes do not age, and every page tells the reason."""
    client = client_of()
    status = client.status()
    wave = choose(status, how["wave_id"])
    opens_at = (
        wave["opens_at"] if wave["phase"] else status["at"]
    )  # not seen yet: no zone of its own
    said = {} if quiet else _said(how["reason"], next_news, status["at"], opens_at)

    def fields(policy: Document) -> Document:
        if policy["paused"] and said:
            return {"message": ctl_pause.go_on(policy["message"], said["message"])}
        return {"paused": True, **said}

    change(client, fields, wish_of(how))


def _said(reason: str, next_news: str | None, at: str, opens_at: str) -> Document:
    """Return the message of a pause as a field; with nothing to say the one that stands stays."""
    if not reason and not next_news:
        return {}
    told = ctl_pause.message(reason, next_news, at, opens_at)
    if len(told) > MESSAGE_CHARACTERS_MAX:
        limit = f"a page has room for {MESSAGE_CHARACTERS_MAX} characters"
        raise click.BadParameter(f"{limit}: say it shorter, or add --quiet", param_hint="--reason")
    return {"message": told}


@knob()
def resume(**how: Any) -> None:
    """Go on admitting; the message of the pause goes from the pages."""
    client = client_of()
    wave = choose(client.status(), how["wave_id"])["wave"]
    records = client.audit(wave)["records"]

    def fields(policy: Document) -> Document:
        done = (r["changes"] for r in records if "refused" not in r)
        none: Document = {}
        last = next((c for c in done if c.get("paused", none).get("after") is True), none)
        said = last.get("message", {})
        is_its_own = said and ctl_pause.are_of_one_pause(said["after"], policy["message"])
        return {"paused": False, **({"message": said["before"]} if is_its_own else {})}

    change(client, fields, wish_of(how), needs_reason=False)


_pairs = click.argument("pairs", metavar="KEY=VALUE...", nargs=-1)


@knob(_pairs, name="set")
def set_policy(*, pairs: Sequence[str], **how: Any) -> None:
    """Change any fields of the policy, all or none."""
    if not pairs:
        raise click.UsageError("give KEY=VALUE, one or more; `policy` shows the keys")
    wanted = _fields(pairs)
    change(client_of(), lambda _: wanted, wish_of(how))


@command_of(wave_option, _pairs)
def plan(*, pairs: Sequence[str], wave_id: str | None, output: str | None) -> None:
    """Say what changed fields would bring, or, without any, how the wave goes on as it is."""
    wanted = _fields(pairs)
    change(client_of(), lambda _: wanted, Wish(wave_id, dry_run=True, output=output))


def _fields(pairs: Sequence[str]) -> Document:
    if not all("=" in pair for pair in pairs):
        raise click.UsageError("give KEY=VALUE, one or more; `policy` shows the keys")
    return dict(_field(*pair.split("=", 1)) for pair in pairs)


def _field(name: str, text: str) -> tuple[str, Any]:
    """Read a value as JSON, except where the field is a text; what it means the gateway checks."""
    if name in BOUNDS and BOUNDS[name].kind is str:
        return name, text
    try:
        return name, json.loads(text, parse_constant=str)
    except ValueError:
        return name, text


@command_of(
    wave_option,
    reason_option,
    dry_run_option,
    click.option("--to", type=int, metavar="REV", help="Back to this revision; else one back."),
)
def undo(*, to: int | None, **how: Any) -> None:
    """Go back to an earlier policy; undone again, it returns."""
    undo_change(client_of(), to, wish_of(how))


@command_of(wave_option)
def policy(*, wave_id: str | None, output: str | None) -> None:
    """Show the policy in force."""
    client = client_of()
    chosen = choose(client.status(), wave_id)["wave"]
    held = client.policy(chosen)
    document = {"wave": chosen, "revision": held.revision, "policy": held.policy}
    text = policy_text(chosen, held.revision, held.policy)
    show(output, document, [{name: value} for name, value in held.policy.items()], lambda: text)


@command_of(wave_option, click.option("--last", type=int, default=20, show_default=True))
def history(*, wave_id: str | None, output: str | None, last: int) -> None:
    """Show the changes of a wave's policy, and what came of them."""
    client = client_of()
    wave = choose(client.status(), wave_id)["wave"]
    records = client.audit(wave)["records"]
    results = {r["revision"]: r["result"] for r in records if "result" in r}
    done = [
        r
        for r in records
        if r["changes"] and "refused" not in r and "dead_letters" not in r["changes"]
    ]
    told = [record | {"result": results.get(record["revision"])} for record in done[:last]]
    show(output, {"records": told}, told, lambda: history_text(told))
