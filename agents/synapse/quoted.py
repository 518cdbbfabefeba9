"""Synapse on recorded web tasks (arXiv 2306.07863, section 4.3): an answer quotes an action, solved tasks are shown."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from agentlab_runner.agents.llm.chat.adopt import as_chat
from agentlab_runner.agents.llm.chat.counting import tokens
from agentlab_runner.agents.llm.chat.kept import Kept
from agentlab_runner.agents.llm.chat.sessions import Sessions, ask
from agentlab_runner.agents.llm.chat.types import ChatModel, Message
from agentlab_runner.agents.memory.store import Hit, Provenance, Record, Store
from agentlab_runner.agents.synapse import quoted_format as form
from agentlab_runner.agents.synapse.quoted_settings import QuotedSettings
from agentlab_runner.agents.unlearning import Unlearning
from agentlab_runner.runners.errors import UserError
from agentlab_runner.runners.types import Call, Decision, Metrics, Observation, Trajectory

if TYPE_CHECKING:
    from agentlab_runner.agents.llm.policy import LanguagePolicy
    from agentlab_runner.runners.experiment import Parser, Report, Trainer

log = logging.getLogger(__name__)

KIND = "trajectory"


@dataclass(slots=True)
class _Episode:
    number: int
    steps: int = 0
    shown: Sequence[Hit] | None = None
    """Its exemplars, best first; None: not looked up yet."""


class QuotedAgent(Unlearning):
    """Shows a model the task so far, after solved ones, and takes the action between the backticks of its answer.

    An answer without one is an action without words, which scores nothing; the episode goes on. A language model of
    this machine may be trained to give recorded answers before (`imitate`): its weights, or its adapters alone, are
    what a checkpoint holds, and adapters also lie in the run's `adapter/`, as PEFT keeps them.

    Args:
        policy: a chat model, or a language model of this machine.
        parser: of the environment; tells the action language, and what could be chosen (`offered`) if `choose` is set.
        settings: the keys of `QuotedSettings`.

    Raises:
        UserError: if the parser cannot say what could be chosen; and from `act`, where the observations lack a part or
            the memory is empty.
    """

    def __init__(self, policy: "ChatModel | LanguagePolicy", parser: "Parser", **settings: Any) -> None:
        self.settings = QuotedSettings(**settings)
        self.policy: Any = policy if hasattr(policy, "trainable_parameters") else None
        self.parser = parser
        if self.settings.choose and not hasattr(parser, "offered"):
            raise UserError(
                f"{type(parser).__name__} cannot say which actions could be chosen; give it an `offered`, or "
                "agent.choose=false"
            )
        self.model: ChatModel = as_chat(policy)
        self._chat, self._folder = self.model, Path()
        self._keeps, self._store = True, Store(self.settings.memory.embedder)
        self._episodes: Sessions[_Episode] = Sessions(_Episode)

    def setup(self, trainer: "Trainer") -> None:
        self._keeps = trainer.processes == 1  # a folder of answers has one writer
        if self.policy is not None:
            trainer.prepare(self.policy)
        elif hasattr(self._chat, "to"):
            self._chat.to(trainer.device)

    # -- memory -------------------------------------------------------------------------------------------------------

    @property
    def from_run(self) -> str | None:
        return None

    @property
    def remembers(self) -> bool:
        return self.settings.exemplars == "none" or bool(self._store.find(kind=KIND))

    def prepare(self, folder: Path, report: "Report") -> Metrics:
        self._folder = folder
        self._keep()
        if self.settings.exemplars == "none":
            return {}
        self._store = Store.begin(folder / "memory", self.settings.memory)
        return {"memory/trajectories": float(len(self._store.find(kind=KIND)))}

    def remember(self, episodes: Sequence[Trajectory], report: "Report") -> Metrics:
        """Every episode as it stands in the past of its last observation, found by its first one's specifier."""
        for place, episode in enumerate(episodes):
            first, turns = episode.steps[0].observation, form.past(episode.final_observation)
            solved = form.Solved(str(first["goal"]), turns)
            origin = Provenance(episode=episode.number, task=episode.task, seed=episode.seed)
            key = f"{KIND}/{place:06d}"
            self._store.add(Record(key, KIND, str(first["specifier"]), solved.as_json(), provenance=origin))
            report(place + 1, len(episodes))
        return {"memory/trajectories": float(len(self._store.find(kind=KIND)))}

    # -- an episode ---------------------------------------------------------------------------------------------------

    def begin(self, episodes: Sequence[int]) -> None:
        self._episodes.begin(episodes)

    def act(self, observations: Sequence[Observation], deterministic: bool) -> list[Decision]:
        live = list(self._episodes.live.values())
        self._look_up(live, observations)
        talks = [self._conversation(*each) for each in zip(live, observations, strict=True)]
        fit = [place for place, talk in enumerate(talks) if talk is not None]
        answers: dict[int, tuple[str, Call]] = {}
        if fit:
            said = ask(
                self.model,
                "act",
                [talk for talk in talks if talk is not None],
                max_tokens=self.settings.max_tokens,
                deterministic=deterministic,
                stop=form.STOP,
                choices=[self._offered(observations[place]) for place in fit] if self.settings.choose else None,
                draws=[0 if deterministic else live[place].number * 2**20 + live[place].steps for place in fit],
            )
            answers = {place: (reply.text, call) for place, (reply, call) in zip(fit, said, strict=True)}
        decisions = []
        for place, one in enumerate(live):
            one.steps += 1
            text, *calls = answers.get(place, ("",))
            found = [[hit.record.id, round(float(hit.similarity), 4)] for hit in one.shown or ()]
            record = {"exemplars": found} | ({} if calls else {"left_out": "the prompt is longer than may be asked"})
            decisions.append(Decision(form.said(text), {"calls": calls, "record": record}))
        return decisions

    def end(self, trajectories: Sequence[Trajectory]) -> None:
        self._episodes.end(trajectories)

    def _look_up(self, live: Sequence[_Episode], seen: Sequence[Observation]) -> None:
        """The exemplars of episodes that have just begun; a task is never its own."""
        fresh = [
            (one, str(shown.get("specifier", ""))) for one, shown in zip(live, seen, strict=True) if one.shown is None
        ]
        if self.settings.exemplars == "none" or not fresh:
            for one, _ in fresh:
                one.shown = ()
            return
        known, k = self._store.find(kind=KIND), self.settings.memory.k
        if not known:
            raise UserError(
                "the memory holds no solved task; give the experiment a warm_start whose demonstrator solves some, "
                "agent.memory.folder=RUN/memory, or agent.exemplars=none"
            )
        if self.settings.exemplars == "memory":
            least = self.settings.memory.min_similarity
            found = self._store.search([text for _, text in fresh], k + 1, kind=KIND, min_similarity=least)
        else:
            drawn = Random(self.settings.seed).sample(known, min(k + 1, len(known)))
            found = [[Hit(record, 0.0) for record in drawn] for _ in fresh]
        for (one, text), hits in zip(fresh, found, strict=True):
            one.shown = [hit for hit in hits if hit.record.text != text][:k]

    def _conversation(self, one: _Episode, seen: Observation) -> list[Message] | None:
        """Exemplars are added in order as long as they fit; None where the task itself does not."""
        style, told = self.settings.style, self.settings.previous_actions
        before = form.past(seen)
        rules = form.system(self.parser.api)
        query = form.query(style, str(seen["goal"]), before, str(seen["observation"]), told)
        most = self.settings.max_prompt_tokens
        if most is not None and tokens(self.model, [rules, *query]) > most:
            return None
        shown: list[Message] = []
        for hit in one.shown or ():
            more = form.exemplar(style, form.Solved.read(hit.record.payload), len(before), told)
            if most is not None and tokens(self.model, [rules, *shown, *more, *query]) > most:
                break
            shown += more
        return [rules, *shown, *query]

    def _offered(self, seen: Observation) -> list[str]:
        actions = self.parser.offered(str(seen["observation"]), str(seen["goal"]))  # type: ignore[attr-defined]
        return list(dict.fromkeys(form.answer(self.settings.style, action).text for action in actions))

    # -- learning -----------------------------------------------------------------------------------------------------

    def imitate(self, demonstrations: Sequence[Trajectory], trainer: "Trainer", report: "Report") -> dict[str, float]:
        """Train to give the recorded answers, prompts as they are asked, without exemplars (section 4.3).

        Raises:
            UserError: if the model cannot be trained, or writes prompts of its own round ours.
        """
        if self.policy is None or self.policy.prompts.prompt_format != "raw":
            raise UserError(
                f"{self._chat.name} cannot be trained to answer; choose a language model with prompt_format=raw "
                "(model=smollm2)"
            )
        from agentlab_runner.agents.llm.chat.speech.reading import Reader
        from agentlab_runner.agents.llm.imitation import fit

        options = self.settings.imitation.model_dump()
        held_out = int(options.pop("validation_fraction") * len(demonstrations))
        write = partial(self._sample, Reader(self.policy))
        samples, validation = (
            [one for episode in chosen for step in episode.steps if (one := write(step.observation, step.decision))]
            for chosen in (demonstrations[held_out:], demonstrations[:held_out])
        )
        metrics = fit(self.policy, samples, trainer, validation=validation, report=report, **options)
        self._write_adapter()
        self._keep()
        return metrics | {"imitation/samples": float(len(samples))}

    def _sample(self, reader: Any, seen: Observation, decision: Decision) -> tuple[Observation, str] | None:
        """Prompt and answer of a step; None if the prompt is longer than is asked."""
        talk = self._conversation(_Episode(0, shown=()), seen)
        if talk is None:
            return None
        return {"text": reader.script(talk).text}, form.answer(self.settings.style, str(decision.action)).text

    def state_dict(self) -> dict[str, Any]:
        return {} if self.policy is None else {"policy": self.policy.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        if self.policy is not None:
            self.policy.load_state_dict(state["policy"])
            if not (self._folder / "adapter").exists():
                self._write_adapter()
            self._keep()

    def _write_adapter(self) -> None:
        if self._keeps and self._folder != Path() and self.policy.has_adapters:
            self.policy.save_pretrained(self._folder / "adapter")

    def _keep(self) -> None:
        """Answers are kept in the run, under the weights that the model has now."""
        if isinstance(self.model, Kept) and self.model is not self._chat:
            self.model.close()
        if self._keeps and self._folder != Path():
            self.model = Kept(self._chat, self._folder / "calls")
