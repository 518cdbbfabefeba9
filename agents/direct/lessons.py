"""What Reflexion keeps between the trials of a task (arXiv 2303.11366): how each failed, and what that taught."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from agentlab_runner.agents.direct import prompts
from agentlab_runner.agents.llm.chat.types import Conversation, Message
from agentlab_runner.agents.memory.embedders import Hashed
from agentlab_runner.agents.memory.store import Record, Store
from agentlab_runner.runners.errors import UserError
from agentlab_runner.runners.types import Trajectory


class Lessons:
    """Failures and lessons by the number of the episode they are of, in the run's `memory/` once it has a folder.

    What this process has played and learnt goes before what lies there, which may be of another evaluation of the run.
    """

    def __init__(self) -> None:
        self._store = Store(Hashed())
        self._here: dict[str, Record] = {}
        self._tried_before: dict[int, int] = {}
        """An episode's number -> that of the trial before it."""

    def keep(self, folder: Path) -> None:
        """Take up what the run's folder holds, and write there from now on.

        Raises:
            UserError: if that is no memory of trials.
        """
        self._store = Store.open(folder / "memory", Hashed())
        for record in self._store:
            if record.id.startswith("failure/") and not _is_failure(record):
                raise UserError(
                    f"{folder / 'memory'} is damaged ({record.id!r:.240} is no failed trial); move it away, and the "
                    "trials that are still to be played begin without its lessons"
                )

    def retry(self, episodes: Mapping[int, int]) -> None:
        self._tried_before |= episodes

    def failed(self, trajectory: Trajectory, past: Sequence[Message]) -> None:
        """An episode has ended without success; `past` is what was shown and said in it."""
        ended = f"The episode ended: {trajectory.reason or trajectory.stop}."
        payload = {
            "task": trajectory.task,
            "seed": trajectory.seed,
            "before": self._before(trajectory.number),
            "turns": [[message.role, message.text] for message in past],
        }
        self._add(Record(f"failure/{trajectory.number}", "failure", ended, payload))

    def lived(self, number: int) -> tuple[int, Conversation] | None:
        """The trial before this episode and how it went, with the question what it taught; None: it is the first.

        Asked again after a kill the answer comes from the run's cache, so that it is among the episode's calls either
        way.
        """
        before = self._before(number)
        failure = None if before is None else self._get(f"failure/{before}")
        if before is None or failure is None:
            return None
        turns = [Message(role, (text,)) for role, text in failure.payload["turns"]]
        asked = prompts.with_words(prompts.shown(failure.text), prompts.REFLECT)
        return before, [prompts.system(), *turns, asked]

    def learn(self, number: int, lesson: str) -> None:
        """What was learnt from the failed trial with this number."""
        self._add(Record(f"lesson/{number}", "lesson", lesson, {"before": self._before(number)}))

    def of(self, number: int) -> list[str]:
        """Of all earlier trials of an episode's task, oldest first."""
        lessons: list[str] = []
        before = self._before(number)
        while before is not None:
            lesson = self._get(f"lesson/{before}")
            lessons += [lesson.text] if lesson is not None and lesson.text else []
            before = self._before(before)
        return lessons[::-1]

    def _before(self, number: int) -> int | None:
        if number in self._tried_before:
            return self._tried_before[number]
        failure = self._get(f"failure/{number}")
        return None if failure is None else failure.payload["before"]

    def _get(self, key: str) -> Record | None:
        return self._here.get(key) or self._store.get(key)

    def _add(self, record: Record) -> None:
        """Of one id the first is kept on disk, the last is what this process goes by."""
        self._here[record.id] = record
        if record.id not in self._store:
            self._store.add(record)


def _is_failure(record: Record) -> bool:
    """Whether a record, whoever wrote it, is what `Lessons.failed` writes: of a trial, and of none before itself."""
    number = record.id.removeprefix("failure/")
    before, turns = record.payload.get("before"), record.payload.get("turns")
    return (
        number.isdecimal()
        and (before is None or (type(before) is int and 0 <= before < int(number)))
        and isinstance(turns, list)
        and all(
            isinstance(turn, list) and len(turn) == 2 and turn[0] in ("user", "assistant") and isinstance(turn[1], str)
            for turn in turns
        )
    )
