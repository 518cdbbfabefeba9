"""A run's exemplars: loaded, or made of episodes that were solved; and whose are shown (section 3.3 of the paper)."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from zlib import crc32

from agentlab_runner.agents.memory.store import Store
from agentlab_runner.agents.synapse.exemplars import Demo, Exemplars, Exemplary, Turn, as_json, load
from agentlab_runner.agents.synapse.language import Language, goal, state
from agentlab_runner.agents.synapse.messages import specifier
from agentlab_runner.agents.synapse.retrieval import Vote, records, votes
from agentlab_runner.agents.synapse.settings import ExemplarSettings
from agentlab_runner.runners.errors import UserError
from agentlab_runner.runners.files.atomic import write_atomic
from agentlab_runner.runners.files.received import read_object
from agentlab_runner.runners.types import Observation, Trajectory

NAMED = {
    "click-tab-2-hard": "click-tab-2", "email-inbox": "email-inbox-nl-turk",
    "email-inbox-forward-nl": "email-inbox-nl-turk", "email-inbox-forward-nl-turk": "email-inbox-nl-turk",
}  # fmt: skip
"""Tasks that the original shows another's exemplars where it goes by names."""


class ExemplarMemory:
    """Exemplars by task in the original's two files, and an index of what they are found by.

    FOLDER/exemplars.json   FOLDER/specifiers.json   as the original has them
    FOLDER/made_from.json   of exemplars made here: the episode of each (run, task, seed or start)
    FOLDER/index/           a store of the specifiers (docs/memory.md)
    """

    def __init__(self, folder: Path, settings: ExemplarSettings) -> None:
        self.folder, self.settings = folder, settings
        self._exemplary: Exemplary | None = None
        self._index: Store | None = None
        self._starts: set[str] | None = None
        if settings.folder is not None and not self.is_filled:
            self._write(load(Path(settings.folder).expanduser()))

    @property
    def is_filled(self) -> bool:
        return (self.folder / "specifiers.json").is_file()

    @property
    def exemplary(self) -> Exemplary:
        """
        Raises:
            UserError: if there is none, or what is there is not as it should be.
        """
        if self._exemplary is None:
            if not self.is_filled:
                raise UserError(
                    "the memory is empty; give agent.memory.folder=FOLDER or agent.memory.from_run=RUN, a warm_start, "
                    "or agent.exemplars=none"
                )
            self._exemplary = load(self.folder)
        return self._exemplary

    def make(self, episodes: Sequence[Trajectory], language: Language, run: str = "") -> None:
        """Exemplars of episodes that were solved: different ones, `per_task` of a task at most, in their order.

        Args:
            run: what made them.

        Raises:
            UserError: if none of them can be written down.
        """
        joined = self.settings.joined if self.settings.joined is not None else bool(self.settings.from_run)
        made: dict[str, list[Demo]] = {}
        found_by: dict[str, list[str]] = {}
        origins: dict[str, list[dict[str, object]]] = {}
        for episode in episodes:
            demo = demonstrated(episode, language, joined)
            demos = made.setdefault(episode.task, [])
            if demo is None or demo in demos or len(demos) >= self.settings.per_task:
                continue
            demos.append(demo)
            first = episode.steps[0].observation
            found_by.setdefault(episode.task, []).append(specifier(goal(first), state(first)))
            origin = {"run": run, "seed": episode.seed, "restart": dict(episode.restart)}
            origins.setdefault(episode.task, []).append(origin)
        if not found_by:
            raise UserError("no episode was solved that could be written down as an exemplar; give more, or others")
        exemplars = {task: Exemplars(_alike(demos)) for task, demos in made.items() if demos}
        self.folder.mkdir(parents=True, exist_ok=True)
        write_atomic(self.folder / "made_from.json", json.dumps(origins, indent=1))
        self._write(Exemplary(exemplars, {task: tuple(texts) for task, texts in found_by.items()}))

    def vote(self, queries: Sequence[str]) -> list[Vote]:
        """For each specifier the task whose exemplars are shown."""
        if self._index is None:
            self._index = Store.open(self.folder / "index", self.settings.embedder)
            self._index.add(*records(self.exemplary))
        return votes(self._index, queries, self.settings.k, self.settings.min_similarity)

    def by_name(self, task: str) -> Vote:
        """The task itself.

        Raises:
            UserError: if there are no exemplars of it.
        """
        name = NAMED.get(task, task)
        if name not in self.exemplary.exemplars:
            raise UserError(
                f"there is no exemplar of {task or 'a task without a name'} (but of: "
                f"{', '.join(sorted(self.exemplary.exemplars))}); use agent.exemplars=memory"
            )
        return Vote(name, ())

    def drawn(self, query: str, seed: int) -> Vote:
        """Any task, by chance, the same for the same page."""
        tasks = sorted(self.exemplary.exemplars)
        return Vote(tasks[crc32(f"{seed} {query}".encode(errors="replace")) % len(tasks)], ())

    def was_made_from(self, episode: Trajectory) -> bool:
        """Whether an exemplar shows how this very episode was solved."""
        if self._starts is None:
            file = self.folder / "made_from.json"
            told = read_object(self.folder, file.name) if file.is_file() else {}
            self._starts = {_start(task, one["seed"], one["restart"]) for task, own in told.items() for one in own}
        return _start(episode.task, episode.seed, episode.restart) in self._starts

    def _write(self, exemplary: Exemplary) -> None:
        shown, found_by = as_json(exemplary)
        self.folder.mkdir(parents=True, exist_ok=True)
        write_atomic(self.folder / "exemplars.json", json.dumps(shown, indent=1, ensure_ascii=False))
        write_atomic(self.folder / "specifiers.json", json.dumps(found_by, indent=1, ensure_ascii=False))  # the last


def _start(task: str, seed: int, restart: Mapping[str, Any]) -> str:
    """How an episode begins, as far as that can be told."""
    return json.dumps(restart or [task, seed], sort_keys=True)


def demonstrated(episode: Trajectory, language: Language, joined: bool = False) -> Demo | None:
    """An episode as it is shown; None if a part of what was done has no words.

    Args:
        joined: steps become blocks that end where a fresh page was needed (section 3.2 of the paper): one joins the
            block before it if all that it acts on, and all that it says, was there when that began.
    """
    turns: list[Turn] = []
    began: Observation = {}
    for step in episode.steps:
        written = language.written(step)
        if written is None:
            return None
        if turns and joined and (not written or language.joins(written, began)):
            turns[-1] = replace(turns[-1], act=f"{turns[-1].act}\n{written}".strip())
        else:
            began = step.observation
            turns.append(Turn(written, state(began)))
    if not any(turn.act for turn in turns):
        return None
    return Demo(tuple(turns), goal(episode.steps[0].observation), is_trajectory=len(turns) > 1 or not language.alone)


def _alike(demos: Sequence[Demo]) -> tuple[Demo, ...]:
    """Of a task that sometimes takes several steps all are trajectories."""
    several = any(demo.is_trajectory for demo in demos)
    return tuple(Demo(demo.turns, demo.task, is_trajectory=several) for demo in demos)
