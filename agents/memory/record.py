"""What a memory holds, and what it finds."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from numbers import Integral, Real
from typing import Any

LONGEST_ID = 200
"""Characters of an id or a kind."""
LARGEST = 2**22
"""Bytes of a record as it is written."""
DEEPEST = 60
"""Levels of nesting in a payload; a line of a file may have 64."""
WHOLE = 2**53
"""Up to here every whole number is a time of its own."""


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a record comes from."""

    run: str = ""
    episode: int | None = None
    task: str = ""
    seed: int | None = None

    def __post_init__(self) -> None:
        texts, numbers = (self.run, self.task), (self.episode, self.seed)
        if not all(isinstance(text, str) for text in texts) or not all(isinstance(n, int | None) for n in numbers):
            raise ValueError(f"{self!r:.240} is no provenance; give two texts and two whole numbers")


@dataclass(frozen=True, slots=True)
class Record:
    """One thing worth remembering.

    Raises:
        ValueError: if a part is not what it says below.
    """

    id: str
    """Its own in a memory, up to `LONGEST_ID` printable characters; what comes back in order comes in order of ids."""
    kind: str
    """What queries are narrowed to: `lesson`, `exemplar`, ..."""
    text: str
    """What is embedded, and so what it is found by."""
    payload: Mapping[str, Any] = field(default_factory=dict)
    """What it is found for: small JSON, kept as JSON keeps it (tuples become lists). Not to be changed."""
    available_from: float | None = None
    """The time or counter from which queries see it; None: always."""
    provenance: Provenance = Provenance()

    def __post_init__(self) -> None:
        for name in ("id", "kind"):
            value = getattr(self, name)
            if not (isinstance(value, str) and 0 < len(value) <= LONGEST_ID and value.isprintable()):
                raise ValueError(f"{value!r:.240} is no {name}; give 1 to {LONGEST_ID} printable characters")
        if not isinstance(self.text, str):
            raise ValueError(f"the text of record {self.id!r} is of type {type(self.text).__name__}; give a string")
        if self.available_from is not None:
            object.__setattr__(self, "available_from", moment(self.available_from))
        try:
            payload = json.loads(json.dumps(dict(self.payload), allow_nan=False))
        except (TypeError, ValueError, RecursionError) as fault:
            raise ValueError(f"the payload of {self.id!r} is no JSON object ({fault}); give plain values") from None
        object.__setattr__(self, "payload", payload)
        if _depth(payload) > DEEPEST:
            raise ValueError(f"the payload of record {self.id!r} is nested more than {DEEPEST} levels; make it flatter")
        if len(self.line()) > LARGEST:
            raise ValueError(f"record {self.id!r} is larger than {LARGEST >> 20} MiB; remember less of it")

    def line(self) -> str:
        """Itself in ASCII, without what is as it always is."""
        parts: dict[str, Any] = {"id": self.id, "kind": self.kind, "text": self.text}
        if self.payload:
            parts["payload"] = self.payload
        if self.available_from is not None:
            parts["available_from"] = self.available_from
        told = {name: value for name, value in asdict(self.provenance).items() if value not in ("", None)}
        return json.dumps(parts | ({"provenance": told} if told else {}), sort_keys=True, allow_nan=False)

    @classmethod
    def read(cls, line: str | bytes) -> "Record":
        """The record of a line, whoever wrote it.

        Raises:
            ValueError: if it is none.
        """
        if len(line) > LARGEST:
            raise ValueError(f"it is larger than {LARGEST >> 20} MiB")
        try:
            parts = json.loads(line, parse_constant=_refuse)
            return cls(**parts | {"provenance": Provenance(**parts.get("provenance", {}))})
        except (TypeError, AttributeError, RecursionError) as fault:
            raise ValueError(f"it is no record ({fault})") from None


@dataclass(frozen=True, slots=True)
class Hit:
    """A record that was found."""

    record: Record
    similarity: float
    """Cosine of its vector and the query's."""


def moment(time: float) -> float:
    """A time or counter as memories compare it.

    Raises:
        ValueError: if it is none, or a whole number so large that its neighbours would be the same time.
    """
    if isinstance(time, bool) or not isinstance(time, Real) or not math.isfinite(time):
        raise ValueError(f"{time!r:.80} is no time; give a finite number")
    if isinstance(time, Integral) and abs(time) > WHOLE:
        raise ValueError(f"{time} is too large for a time; count in a larger unit (seconds, not nanoseconds)")
    return float(time)


def _refuse(constant: str) -> Any:
    raise ValueError(f"it holds {constant}")


def _depth(payload: Any) -> int:
    depth, level = 0, [payload]
    while level:
        groups = [part.values() if isinstance(part, dict) else part for part in level if isinstance(part, dict | list)]
        level = [part for group in groups for part in group]
        depth += 1
    return depth
