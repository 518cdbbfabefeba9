"""An observation in the numbers that the network reads: the goal's words, the phrases' words, and how the two meet."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from zlib import crc32

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from agentlab_runner.agents.rl.phrases import listed
from agentlab_runner.runners.types import Observation

WORDS = re.compile(r"-?\d+(?:\.\d+)?(?!\w)|\w+|[^\w\s]")
MOST_GOAL, MOST_PHRASE = 96, 16
"""Words read of a goal and of a phrase; what is longer is cut."""
MEETINGS = 11
"""Columns of `State.meetings`, see `_meetings`."""


@dataclass(frozen=True, slots=True)
class State:
    """One observation with n phrases."""

    goal: NDArray[np.int64]
    """[G], a number for each word."""
    words: NDArray[np.int64]
    """[n, W], of each phrase; 0 where it has no more."""
    quoted: NDArray[np.bool_]
    """[n, W]: whether a word stands in the phrase's first quotation, which is what it is about."""
    meetings: NDArray[np.float32]
    """[n, MEETINGS]."""
    features: NDArray[np.float32]
    """[n, d], as the environment gave them; d may be 0."""

    def __len__(self) -> int:
        return len(self.words)

    @property
    def size(self) -> int:
        """Tokens of the network."""
        return len(self.goal) + len(self.words)

    def tensors(self) -> tuple[Tensor, ...]:
        """For a checkpoint."""
        return tuple(torch.from_numpy(part.copy()) for part in self._parts())

    @classmethod
    def of(cls, tensors: Sequence[Tensor]) -> "State":
        """What `tensors` gave."""
        return cls(*(tensor.numpy() for tensor in tensors))

    def key(self) -> bytes:
        """Equal for equal observations."""
        return b"".join(part.tobytes() for part in self._parts())

    def _parts(self) -> tuple[NDArray[Any], ...]:
        return self.goal, self.words, self.quoted, self.meetings, self.features


def state_of(observation: Observation) -> State:
    """What is read of an observation: `actions`, `goal` (or else all of `text`), `features` where there are any.

    Raises:
        UserError: if it lists no phrases.
    """
    phrases = listed(observation)
    text = str(observation["text"])
    asked = str(observation.get("goal") or text)
    goal = _spoken(asked)[:MOST_GOAL]
    read = [_read(phrase) for phrase in phrases]
    width = max(len(words) for words, _ in read)
    words = np.zeros((len(phrases), width), np.int64)
    quoted = np.zeros((len(phrases), width), np.bool_)
    for row, (spoken, marks) in enumerate(read):
        words[row, : len(spoken)] = [_number(word) for word in spoken]
        quoted[row, : len(marks)] = marks
    features = observation.get("features")
    shown = np.zeros((len(phrases), 0), np.float32) if features is None else np.asarray(features, np.float32)
    done = text.replace(asked, "") if "goal" in observation else ""
    meetings = _meetings(goal, read, phrases, done)
    return State(np.array([_number(word) for word in goal], np.int64), words, quoted, meetings, shown)


def _meetings(
    goal: Sequence[str], read: Sequence[tuple[tuple[str, ...], tuple[bool, ...]]], phrases: Sequence[str], done: str
) -> NDArray[np.float32]:
    """[n, MEETINGS], of each phrase what its words have to do with the goal's and with what is said to be done:

    the share of its quoted words, and of its other ones, that the goal has; whether the goal has the quotation as it
    stands; the goal's words that it has, each by one over the phrases that have it; where in the goal the quotation
    begins, as a share, and seen from the end; how near before that, and after it, stands one of its other words that
    not every phrase has; whether it is done, how often, and whether it is what was done last.
    """
    places: dict[str, list[int]] = {}
    for at, word in enumerate(goal):
        if word[-1].isalnum():
            places.setdefault(word, []).append(at)
    sharing = Counter(word for words, _ in read for word in set(words))
    last = max((done.rfind(phrase) for phrase in phrases), default=-1)
    found = np.zeros((len(read), MEETINGS), np.float32)
    for row, ((words, marks), phrase) in enumerate(zip(read, phrases, strict=True)):
        own = [word for word, mark in zip(words, marks, strict=True) if mark]
        other = [word for word, mark in zip(words, marks, strict=True) if not mark]
        at = _begins(own, goal)
        found[row, 0] = _share(own, places)
        found[row, 1] = _share(other, places)
        found[row, 2] = at >= 0
        found[row, 3] = min(2.0, sum(1 / sharing[word] for word in set(words) if word in places))
        at = at if at >= 0 else min((places[word][0] for word in own if word in places), default=-1)
        if at >= 0:
            found[row, 4], found[row, 5] = at / len(goal), (len(goal) - at) / len(goal)
            telling = [place for word in other if sharing[word] < len(read) for place in places.get(word, ())]
            before = [at - place for place in telling if place < at]
            after = [place - at for place in telling if place > at]
            found[row, 6] = 1 / min(before) if before else 0
            found[row, 7] = 1 / min(after) if after else 0
        times = done.count(phrase) if done else 0
        found[row, 8], found[row, 9] = times > 0, min(times, 4) / 4
        found[row, 10] = times > 0 and done.rfind(phrase) == last
    return found


def _begins(own: Sequence[str], goal: Sequence[str]) -> int:
    """Where the goal has these words one after the other; -1 if nowhere."""
    count = len(own)
    return next((at for at in range(len(goal) - count + 1) if list(goal[at : at + count]) == own), -1) if own else -1


def _share(words: Sequence[str], places: dict[str, list[int]]) -> float:
    return sum(word in places for word in words) / len(words) if words else 0.0


def _spoken(text: str) -> list[str]:
    return WORDS.findall(text.lower())


@lru_cache(maxsize=20_000)
def _read(phrase: str) -> tuple[tuple[str, ...], tuple[bool, ...]]:
    """The words of a phrase, and which of them stand in its first quotation."""
    head, mark, rest = phrase.partition('"')
    own, _, tail = rest.partition('"') if mark else ("", "", "")
    pairs = [(word, False) for word in _spoken(head)]
    pairs += [(word, True) for word in _spoken(own)] + [(word, False) for word in _spoken(tail) if word != '"']
    kept = pairs[:MOST_PHRASE] or [("?", False)]
    return tuple(word for word, _ in kept), tuple(mark for _, mark in kept)


@lru_cache(maxsize=20_000)
def _number(word: str) -> int:
    """A number above 0, the same in every process."""
    return crc32(word.encode()) + 1
