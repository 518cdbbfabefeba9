"""A key-value cache that knows how long it will grow."""

from typing import Any

from torch import Tensor
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer


class ReservedCache(DynamicCache):  # type: ignore[misc]
    """transformers' own cache, except that room for every token is taken at once.

    Growing by one token copies all that came before, for every layer and token; here it writes into its place.
    Layers of another kind (sliding windows, states of linear attention) are left as the library makes them.

    Args:
        config: of the text model.
        length: tokens that will be cached, prompt included.
    """

    def __init__(self, config: Any, length: int) -> None:
        super().__init__(config=config)
        self.layers: list[Any] = [_Reserved(length) if type(layer) is DynamicLayer else layer for layer in self.layers]

    @property
    def whole(self) -> bool:
        """Whether every layer keeps all keys and values, so that those of a prompt may be put in and taken out."""
        return all(isinstance(layer, _Reserved) for layer in self.layers)

    def select(self, rows: Tensor) -> None:
        """Go on with these rows of the batch alone."""
        for layer in self.layers:
            layer.select(rows)


class _Reserved(DynamicLayer):  # type: ignore[misc]
    def __init__(self, length: int) -> None:
        super().__init__()
        self.length = length

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Keys and values [B, H, L, D] of all tokens so far, the given ones [B, H, l, D] written behind the others."""
        before = self.get_seq_length()
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
            self._keys, self._values = (self._room(states) for states in (key_states, value_states))
        after = before + key_states.shape[-2]
        self._keys[:, :, before:after] = key_states
        self._values[:, :, before:after] = value_states
        self.keys, self.values = self._keys[:, :, :after], self._values[:, :, :after]
        return self.keys, self.values

    def select(self, rows: Tensor) -> None:
        """Go on with these rows of the batch alone."""
        if self.is_initialized:
            length = self.get_seq_length()
            self._keys, self._values = self._keys[rows], self._values[rows]
            self.keys, self.values = self._keys[:, :, :length], self._values[:, :, :length]

    def _room(self, states: Tensor) -> Tensor:
        batch, heads, _, width = states.shape
        return states.new_empty(batch, heads, self.length, width)
