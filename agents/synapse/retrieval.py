"""Which task's exemplars are shown: the k specifiers that are most like the page vote (section 3.3)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from agentlab_runner.agents.memory.record import Hit, Record
from agentlab_runner.agents.memory.store import Memory
from agentlab_runner.agents.synapse.exemplars import Exemplary

KIND = "specifier"


@dataclass(frozen=True, slots=True)
class Vote:
    """What was found."""

    task: str | None
    """Whose exemplars are shown; None: nothing in memory is like it enough."""
    hits: tuple[tuple[str, float], ...]
    """Task and similarity of each that voted, best first."""


def records(exemplary: Exemplary) -> list[Record]:
    """A record for each specifier."""
    return [
        Record(f"{KIND}/{task}/{number:04d}", KIND, text, {"task": task})
        for task, texts in exemplary.specifiers.items()
        for number, text in enumerate(texts)
    ]


def votes(memory: Memory, queries: Sequence[str], k: int, min_similarity: float) -> list[Vote]:
    """For each query the task that most of its k nearest specifiers belong to; of equally many, the one met first."""
    found = memory.search(queries, k, kind=KIND, min_similarity=min_similarity)
    return [_counted(hits) for hits in found]


def _counted(hits: Sequence[Hit]) -> Vote:
    counts: dict[str, int] = {}
    for hit in hits:
        task = str(hit.record.payload["task"])
        counts[task] = counts.get(task, 0) + 1
    told = tuple((str(hit.record.payload["task"]), float(hit.similarity)) for hit in hits)
    return Vote(_most(counts), told)


def _most(counts: Mapping[str, int]) -> str | None:
    return max(counts, key=lambda task: counts[task]) if counts else None  # `max` gives the first of equals
