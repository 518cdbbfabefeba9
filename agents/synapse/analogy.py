"""A decoder without a language model: what a demonstration did, carried over to the present words and page.

The words of the demonstration's task and those of the present one are aligned; whatever the program took from the one
is replaced by what stands in its place in the other. Nothing is proposed that the page does not have.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from agentlab_runner.agents.synapse.exemplars import Demo

WORD = re.compile(r'"[^"]*"|[^\s"]+')
LITERAL = re.compile(r"""(["'])((?:\\.|(?!\1).)*)\1""")


@dataclass(frozen=True, slots=True)
class Proposal:
    """A program, and how much of the task's wording it rests on."""

    program: str
    alike: float
    """Share of words that the two tasks have in the same places, 0 to 1."""
    copied: bool
    """Nothing had to be replaced."""


def proposals(
    goal: str, demos: Sequence[tuple[str, Demo]], step: int, resolves: Callable[[str], bool]
) -> list[Proposal]:
    """Programs for a step, most alike first; of equally alike ones in the order of the demonstrations.

    Args:
        demos: each with the words of its task.
        resolves: whether every xpath of a program is on the page.
    """
    found = []
    for words, demo in demos:
        if step < len(demo.turns):
            program, alike = carried(words, goal, demo.turns[step].act)
            if resolves(program):
                found.append(Proposal(program, alike, program == demo.turns[step].act))
    return sorted(found, key=lambda one: -one.alike)


def carried(then: str, now: str, program: str) -> tuple[str, float]:
    """The program with the present task's words in the place of the former's, and how alike the two are."""
    spans, alike = aligned(then, now)
    if not spans:
        return program, alike
    longest = sorted(filter(None, spans), key=len, reverse=True)
    whole = re.compile("|".join(rf"(?<!\w){re.escape(old)}(?!\w)" for old in longest) or r"(?!)")

    def replaced(literal: re.Match[str]) -> str:
        return literal[1] + whole.sub(lambda old: spans[old[0]], literal[2]) + literal[1]

    return LITERAL.sub(replaced, program), alike


def aligned(then: str, now: str) -> tuple[dict[str, str], float]:
    """For each stretch of words that differs, what stands in its place; and the share of words that do not."""
    old, new = WORD.findall(then), WORD.findall(now)
    matcher = SequenceMatcher(None, old, new, autojunk=False)
    spans: dict[str, str] = {}
    for kind, a, b, c, d in matcher.get_opcodes():
        if kind == "replace":
            spans.setdefault(_bare(old[a:b]), _bare(new[c:d]))
    same = sum(block.size for block in matcher.get_matching_blocks())
    return spans, 2 * same / max(1, len(old) + len(new))


def _bare(words: Sequence[str]) -> str:
    return " ".join(words).strip("\"'.,:;!?")
