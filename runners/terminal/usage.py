"""A command line that is typed wrongly, as one sentence: what was wrong, and what to type."""

import re
from typing import Any

from agentlab_runner.runners.config.suggest import did_you_mean
from agentlab_runner.runners.errors import UserError


def misuse(fault: Any) -> UserError:
    """What to tell of a usage error of Typer's.

    Args:
        fault: a `click.UsageError`, of whichever click this Typer uses: its own or the installed one.
    """
    context, option = getattr(fault, "ctx", None), getattr(fault, "option_name", None)
    if option is not None and context is None:
        end = f"write {option} VALUE" if "requires" in fault.message else f"write {option} alone"
        return UserError(f"{_clause(fault.format_message())}; {end}")
    if context is None:
        return UserError(_clause(fault.format_message()))
    see = f"(see: {context.command_path} --help)"
    if option is not None:
        known = [name for parameter in context.command.get_params(context) for name in parameter.opts]
        hint = did_you_mean(option, [name for name in known if name.startswith("-")])
        return UserError(f"{context.command_path} has no option {option}{hint} {see}")
    if unknown := re.match(r"No such command '(.*?)'\.", fault.message, re.DOTALL):
        verbs = context.command.list_commands(context)
        hint = did_you_mean(unknown[1], verbs) or f"; it has {', '.join(verbs)}"
        return UserError(f"{context.command_path} has no command {unknown[1]!r}{hint} {see}")
    usage = " ".join(context.get_usage().split()).removeprefix("Usage: ")
    return UserError(f"{_clause(fault.format_message())}; type {usage} {see}")


def _clause(text: str) -> str:
    """A sentence as the beginning of one."""
    text = " ".join(text.split()).removesuffix(".").replace(": Input should", ": it should")
    return f"{text[:1].lower()}{text[1:]}"
