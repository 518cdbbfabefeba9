"""Which words are one slip of the keyboard away from another, found by hashing instead of comparing all pairs."""

from collections.abc import Iterable, Iterator, Sequence


def one_slip(a: str, b: str) -> bool:
    """Whether one insertion, deletion, substitution or swap of neighbours turns `a` into `b` (Damerau distance 1)."""
    if abs(len(a) - len(b)) > 1 or a == b:
        return False
    start = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    if len(a) != len(b):
        short, long = sorted((a, b), key=len)
        return short[start:] == long[start + 1 :]
    rest = a[start + 1 :] == b[start + 1 :]
    return rest or (a[start : start + 2] == b[start : start + 2][::-1] and a[start + 2 :] == b[start + 2 :])


SHORTEST = 3
"""In shorter words a slip proves nothing: every two of them are close."""


class Neighbours:
    """The words of a list, those of three characters or more, within one slip of a given word.

    Two such words share a form that lacks at most one character, so words are filed under all of these forms.
    """

    def __init__(self, words: Sequence[str]) -> None:
        self.words = words
        self._under: dict[str, list[int]] = {}
        for number, word in enumerate(words):
            for form in _forms(word) if len(word) >= SHORTEST else ():
                self._under.setdefault(form, []).append(number)

    def of(self, word: str) -> Iterator[int]:
        """Positions in the list, ascending, each once."""
        if len(word) < SHORTEST - 1:
            return
        near = {number for form in _forms(word) for number in self._under.get(form, ())}
        yield from sorted(number for number in near if one_slip(word, self.words[number]))


def _forms(word: str) -> Iterable[str]:
    return {word, *(word[:i] + word[i + 1 :] for i in range(len(word)))}
