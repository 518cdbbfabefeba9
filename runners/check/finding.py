"""What a rule found: held, not held and what to mend, or not asked and why."""

import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

from agentlab_runner.runners.errors import Unreachable, UserError
from agentlab_runner.runners.terminal.progress import Progress

Subject = TypeVar("Subject")


class State(StrEnum):
    """How a rule came out."""

    HELD = "held"
    BROKEN = "not held"
    OPEN = "not asked"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the table."""

    part: str
    """`env` or `agent`."""
    check: str
    state: State
    said: str
    """What was seen, what is to be mended, or why it was not asked."""


class Broken(Exception):
    """A rule does not hold; the message names class and method and says what to mend."""


class NotAsked(Exception):
    """A rule could not be tried; the message says why."""


@dataclass(frozen=True, slots=True)
class Rule(Generic[Subject]):
    """One promise."""

    name: str
    ask: Callable[[Subject], str]
    """Gives what was seen, or raises Broken or NotAsked."""


def asked(
    part: str, rules: Sequence[Rule[Subject]], subject: Subject, progress: Progress
) -> list[Finding]:
    """Every rule in turn. Where the first does not hold, there is nothing to hold the others against."""
    findings: list[Finding] = []
    for rule in rules:
        if findings and findings[0].state is not State.HELD:
            state, said = State.OPEN, f"{findings[0].check} comes first"
        else:
            try:
                state, said = State.HELD, rule.ask(subject)
            except Broken as fault:
                state, said = State.BROKEN, str(fault)
            except NotAsked as fault:
                state, said = State.OPEN, str(fault)
            except (UserError, Unreachable, ConnectionError):
                raise
            except (Exception, SystemExit) as fault:
                place = traceback.extract_tb(fault.__traceback__)[-1]
                text = " ".join(str(fault).split())[:300]
                state, said = State.BROKEN, f"{type(fault).__name__} in {place.name} ({place.filename}): {text}"
        findings.append(Finding(part, rule.name, state, said))
        progress.advance()
    return findings


def held(findings: Sequence[Finding]) -> bool:
    """Whether nothing that was asked does not hold."""
    return all(finding.state is not State.BROKEN for finding in findings)
