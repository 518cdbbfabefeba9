"""Keys and values of what was read, in a tree: what several texts begin with is kept once, and never read again."""

from collections.abc import Sequence

from torch import Tensor

States = tuple[Tensor, ...]
"""A layer each: keys and values [2, H, L, D] of L tokens."""


class _Node:
    """A stretch of tokens behind its parent's."""

    __slots__ = ("children", "keys", "parent", "states", "used")

    def __init__(self, keys: tuple[int, ...], states: States, parent: "_Node | None") -> None:
        self.keys, self.states, self.parent = keys, states, parent
        self.children: dict[int, _Node] = {}
        self.used = 0

    @property
    def size(self) -> int:
        return sum(layer.numel() * layer.element_size() for layer in self.states)


class PrefixTree:
    """What was read, bounded by its bytes; the ends that were not used for longest go first."""

    def __init__(self, megabytes: int) -> None:
        self.limit = megabytes * 2**20
        self.size = 0
        self._root = _Node((), (), None)
        self._clock = 0

    def clear(self) -> None:
        """Forget everything."""
        self._root, self.size = _Node((), (), None), 0

    def find(self, keys: Sequence[int]) -> tuple[int, list[States]]:
        """How many of the leading keys are known, and their states in pieces, one behind the other."""
        node, length, pieces = self._root, 0, []
        self._clock += 1
        while length < len(keys) and (child := node.children.get(keys[length])) is not None:
            same = agreement(child.keys, keys[length:])
            pieces.append(child.states if same == len(child.keys) else _part(child.states, 0, same))
            child.used = self._clock
            length += same
            if same < len(child.keys):
                break
            node = child
        return length, pieces

    def add(self, keys: Sequence[int], start: int, states: States) -> None:
        """Keep the states of `keys[start:]`, those that are known already left aside.

        Nothing is kept if what stands before `start` has been forgotten.
        """
        node, length = self._root, 0
        self._clock += 1
        while length < len(keys) and (child := node.children.get(keys[length])) is not None:
            same = agreement(child.keys, keys[length:])
            if same < len(child.keys):
                child = self._split(child, same)
            child.used = self._clock
            length, node = length + same, child
        if start <= length < len(keys):
            own = tuple(layer[..., length - start :, :].clone() for layer in states)
            leaf = _Node(tuple(keys[length:]), own, node)
            leaf.used = self._clock
            node.children[leaf.keys[0]] = leaf
            self.size += leaf.size
            self._forget()

    def _split(self, node: _Node, length: int) -> _Node:
        """The node's first part, the rest below it."""
        assert node.parent is not None
        first = _Node(node.keys[:length], _copy(_part(node.states, 0, length)), node.parent)
        first.used = node.used
        node.parent.children[first.keys[0]] = first
        node.keys, node.states, node.parent = node.keys[length:], _copy(_part(node.states, length, None)), first
        first.children[node.keys[0]] = node
        return first

    def _forget(self) -> None:
        while self.size > self.limit:
            leaves, waiting = [], [self._root]
            while waiting:
                node = waiting.pop()
                waiting += node.children.values()
                if not node.children and node.parent is not None:
                    leaves.append(node)
            for leaf in sorted(leaves, key=lambda leaf: leaf.used):
                assert leaf.parent is not None
                del leaf.parent.children[leaf.keys[0]]
                self.size -= leaf.size
                if self.size <= self.limit:
                    return


def agreement(first: Sequence[int], second: Sequence[int]) -> int:
    """How many leading elements are alike."""
    length = min(len(first), len(second))
    if first[:length] == second[:length]:
        return length
    return next(i for i, (a, b) in enumerate(zip(first, second, strict=False)) if a != b)


def _part(states: States, start: int, end: int | None) -> States:
    return tuple(layer[..., start:end, :] for layer in states)


def _copy(states: States) -> States:
    """Memory of its own, so that what it was cut from can go."""
    return tuple(layer.clone() for layer in states)
