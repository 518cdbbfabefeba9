"""The nearest name: what a user who mistyped probably meant."""

from collections.abc import Iterable
from difflib import get_close_matches


def nearest(word: str, names: Iterable[str]) -> str | None:
    """The name most like `word`, or None when none is close.

    A dotted key is also compared by its last part, so that `gama` finds `agent.gamma`.
    """
    names = list(names)
    for name in get_close_matches(word, names, n=len(names) or 1, cutoff=0.6):
        if _alike(word, name):
            return name
    last = word.rpartition(".")[2]
    by_last = {name.rpartition(".")[2]: name for name in reversed(names)}
    parts = get_close_matches(last, by_last, n=1, cutoff=0.75)
    return by_last[parts[0]] if parts else None


def _alike(word: str, name: str) -> bool:
    """Whether two dotted keys are like each other beyond the nodes they share: of those every neighbour has as many."""
    ours, theirs = word.split("."), name.split(".")
    while ours and theirs and ours[0] == theirs[0]:
        ours, theirs = ours[1:], theirs[1:]
    return bool(get_close_matches(".".join(ours), [".".join(theirs)], cutoff=0.6))


def did_you_mean(word: str, names: Iterable[str], *, quote: bool = False) -> str:
    """`; did you mean NAME?`, or nothing when no name is close."""
    name = nearest(word, names)
    if name is None:
        return ""
    return f"; did you mean {name!r}?" if quote else f"; did you mean {name}?"
