"""How is a line completed before its command was imported? Groups that are loaded when they are asked for."""

import importlib

import click
from click.shell_completion import get_completion_class

VARIABLE = "_GATEWAY_COMPLETE"  # click looks at it before anything else


class Forward(click.Group):
    """A group or command that is imported when it is asked for.

    ``alone``: it says itself what was wrong, and ends with codes of its own.
    """

    def __init__(self, name: str, place: str, summary: str, *, alone: bool = True) -> None:
        super().__init__(name, help=summary, context_settings={"ignore_unknown_options": True})
        self._place = place  # "package.module:group"
        self._alone = alone

    def _load(self) -> click.Group:
        module, _, group = self._place.partition(":")
        loaded: click.Group = getattr(importlib.import_module(module), group)
        return loaded

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Leave everything to the group itself, except where a shell completes a line."""
        if ctx.resilient_parsing:
            return super().parse_args(ctx, args)
        ctx.args = args
        return args

    def invoke(self, ctx: click.Context) -> None:
        """Run it."""
        prog_name = f"gateway {self.name}"
        self._load().main(ctx.args, prog_name=prog_name, standalone_mode=self._alone)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of its commands."""
        return self._load().list_commands(ctx)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return one of its commands."""
        return self._load().get_command(ctx, cmd_name)


def completion_source(cli: click.Command, shell: str) -> str:
    """Return the script that a shell evaluates."""
    kind = get_completion_class(shell)
    assert kind is not None, "the command line offers no other"
    return kind(cli, {}, "gateway", VARIABLE).source()
