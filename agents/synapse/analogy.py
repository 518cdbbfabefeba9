"""Decoders that propose nothing but what exemplars did, carried over to the present words and page.

The words of an exemplar's task and those of the present one are aligned; whatever the program took from the one is
replaced by what stands in its place in the other. Nothing is proposed that the page does not have.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from agentlab_runner.agents.synapse import page
from agentlab_runner.agents.synapse.exemplars import Demo, Turn, words_of

WORD = re.compile(r'"[^"]*"|[^\s"]+')
LITERAL = re.compile(r"""(["'])((?:\\.|(?!\1).)*)\1""")
MOST = 64
"""Programs that a model chooses among."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """A program, and how much it rests on."""

    program: str
    alike: float
    """Share of words that the two tasks have in the same places, 0 to 1."""
    page_alike: float
    """Share of words that the two pages have in common, 0 to 1."""


def proposals(
    goal: str, state: str, demos: Sequence[Demo], step: int | None, fits: Callable[[str], bool], carry: bool = True
) -> list[Proposal]:
    """Programs for a step that fit, most alike first; of equally alike ones in the order of the exemplars.

    Args:
        state: the page as it is.
        step: of the trajectory, counted from 0; None: whatever was done at any.
        fits: whether all that a program acts on is there.
        carry: false: programs as they are.
    """
    found: dict[str, Proposal] = {}
    now = Counter(page.words(state))
    for demo in demos:
        words = words_of(demo)
        for turn in _turns(demo, step):
            program, alike = carried(words, goal, turn.act) if carry else (turn.act, aligned(words, goal)[1])
            one = Proposal(program, alike, _shared(now, turn))
            if program not in found or _rank(one) > _rank(found[program]):
                found[program] = one
    return [one for one in sorted(found.values(), key=_rank, reverse=True) if fits(one.program)]


def choices(
    goal: str, state: str, demos: Sequence[Demo], step: int | None, fits: Callable[[str], bool]
) -> list[str]:
    """Programs made of the exemplars' calls and of literals that the task or the page holds; those carried over first.

    A further one has one literal otherwise than what is proposed: in its place stands a text of the page, a word of
    the task or what the task quotes.
    """
    best = [one.program for one in proposals(goal, state, demos, step, fits)]
    bare = best or [one.program for one in proposals(goal, state, demos, step, lambda _: True)]
    said = [word.strip("\"'.,:;!?") for word in WORD.findall(goal)]
    texts = list(dict.fromkeys(word for word in (*said, *page.texts(state)) if word))
    found = dict.fromkeys(best)
    for program in bare[:8]:
        for other in _varied(program, texts):
            if len(found) >= MOST:
                return list(found)
            if other not in found and fits(other):
                found[other] = None
    return list(found)


def carried(then: str, now: str, program: str) -> tuple[str, float]:
    """The program with the present task's words in the place of the former's, and how alike the two are."""
    spans, alike = aligned(then, now)
    longest = sorted(filter(None, spans), key=len, reverse=True)
    if not longest:
        return program, alike
    whole = re.compile("|".join(rf"(?<!\w){re.escape(old)}(?!\w)" for old in longest))

    def replaced(literal: re.Match[str]) -> str:
        quote, text = literal[1], literal[2]
        return quote + whole.sub(lambda old: _inside(spans[old[0]], quote), text) + quote

    return LITERAL.sub(replaced, program), alike


def aligned(then: str, now: str) -> tuple[dict[str, str], float]:
    """For each stretch of words that differs, what stands in its place; and the share of words that do not."""
    old, new = WORD.findall(then), WORD.findall(now)
    matcher = SequenceMatcher(None, old, new, autojunk=False)
    spans: dict[str, str] = {}
    for kind, a, b, c, d in matcher.get_opcodes():
        if kind == "replace":
            if b - a == d - c:
                for one, other in zip(old[a:b], new[c:d], strict=True):
                    spans.setdefault(_bare([one]), _bare([other]))
            spans.setdefault(_bare(old[a:b]), _bare(new[c:d]))
    same = sum(block.size for block in matcher.get_matching_blocks())
    return spans, 2 * same / max(1, len(old) + len(new))


def _turns(demo: Demo, step: int | None) -> Sequence[Turn]:
    return demo.turns if step is None else demo.turns[step : step + 1]


def _rank(one: Proposal) -> tuple[float, float]:
    return one.alike, one.page_alike


def _shared(now: Counter[str], turn: Turn) -> float:
    then = Counter(page.words(turn.state or turn.obs or ""))
    return 2 * (now & then).total() / max(1, now.total() + then.total())


def _varied(program: str, texts: Sequence[str]) -> Iterator[str]:
    """The program with one text within its literals replaced, each by each."""
    for literal in LITERAL.finditer(program):
        inner = next(iter(re.findall(r"""(?:=\s*|^)["']([^"']+)["']""", literal[2])), literal[2])
        if not inner or "/" in inner:
            continue
        at = literal.start(2) + literal[2].index(inner)
        for text in texts:
            if text != inner:
                yield program[:at] + _inside(text, literal[1]) + program[at + len(inner) :]


def _inside(text: str, quote: str) -> str:
    """A text as it stands in a literal within these quotes."""
    return text.replace("\\", "\\\\").replace(quote, "\\" + quote)


def _bare(words: Sequence[str]) -> str:
    return " ".join(words).strip("\"'.,:;!?")
