"""What Reflexion keeps between the trials of a task (arXiv 2303.11366): how each failed, and what that taught."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from agentlab_runner.agents.llm.chat.types import Message
from agentlab_runner.agents.memory.embedders import Hashed
from agentlab_runner.agents.memory.store import Record, Store
from agentlab_runner.runners.types import Trajectory


class Lessons:
    """Failures and lessons by the number of the episode they are of, in the run's `memory/` once it has a folder."""

    def __init__(self) -> None:
        self._store = Store(Hashed())
        self._tried_before: dict[int, int] = {}
        """An episode's number -> that of the trial before it."""

    def keep(self, folder: Path) -> None:
        """Take up what the run's folder holds, and write there from now on."""
        self._store = Store.open(folder / "memory", Hashed())

    def retry(self, episodes: Mapping[int, int]) -> None:
        self._tried_before |= episodes

    def failed(self, trajectory: Trajectory, past: Sequence[Message]) -> None:
        """An episode has ended without success; `past` is what was shown and said in it."""
        turns = [f"{'You' if message.role == 'assistant' else 'Environment'}: {message.text}" for message in past]
        ended = f"The episode ended: {trajectory.reason or trajectory.stop}."
        payload = {"task": trajectory.task, "seed": trajectory.seed, "before": self._before(trajectory.number)}
        self._store.add(Record(f"failure/{trajectory.number}", "failure", "\n".join([*turns, ended]), payload))

    def owed(self, number: int) -> tuple[int, str] | None:
        """The trial before this episode and how it went, where no lesson was drawn from it yet."""
        before = self._before(number)
        if before is None or self._store.get(f"lesson/{before}") is not None:
            return None
        failure = self._store.get(f"failure/{before}")
        return None if failure is None else (before, failure.text)

    def learn(self, number: int, lesson: str) -> None:
        """What was learnt from the failed trial with this number."""
        self._store.add(Record(f"lesson/{number}", "lesson", lesson, {"before": self._before(number)}))

    def of(self, number: int) -> list[str]:
        """Of all earlier trials of an episode's task, oldest first."""
        lessons: list[str] = []
        before = self._before(number)
        while before is not None:
            lesson = self._store.get(f"lesson/{before}")
            lessons += [lesson.text] if lesson is not None else []
            before = self._before(before)
        return lessons[::-1]

    def _before(self, number: int) -> int | None:
        if number in self._tried_before:
            return self._tried_before[number]
        failure = self._store.get(f"failure/{number}")
        return None if failure is None else failure.payload["before"]
