"""Synapse: trajectory-as-exemplar prompting with a memory (arXiv 2306.07863)."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentlab_runner.agents.llm.chat.adopt import as_chat
from agentlab_runner.agents.llm.chat.counting import tokens
from agentlab_runner.agents.llm.chat.kept import Kept
from agentlab_runner.agents.llm.chat.sessions import Sessions, ask, unsaid
from agentlab_runner.agents.llm.chat.types import ChatModel, Conversation, Reply
from agentlab_runner.agents.synapse import messages
from agentlab_runner.agents.synapse.abstraction import by_example, filtered
from agentlab_runner.agents.synapse.analogy import choices, proposals
from agentlab_runner.agents.synapse.exemplars import Exemplars, Turn
from agentlab_runner.agents.synapse.export import Exported
from agentlab_runner.agents.synapse.language import Language, goal, language, state
from agentlab_runner.agents.synapse.memory import ExemplarMemory
from agentlab_runner.agents.synapse.retrieval import Vote
from agentlab_runner.agents.synapse.settings import SynapseSettings
from agentlab_runner.agents.unlearning import Unlearning
from agentlab_runner.runners.experiment import Parser, Report
from agentlab_runner.runners.types import Call, Decision, Metrics, Observation, Trajectory

if TYPE_CHECKING:
    from agentlab_runner.agents.llm.policy import LanguagePolicy
    from agentlab_runner.runners.experiment import Trainer

log = logging.getLogger(__name__)

NO_EXEMPLARS = Exemplars(())


@dataclass(slots=True)
class _Episode:
    number: int
    vote: Vote | None = None
    """None: it has not begun to look."""
    exemplars: Exemplars = NO_EXEMPLARS
    past: list[Turn] = field(default_factory=list)
    """What was shown and done; `state` is the page, `obs` what was left of it."""
    calls: list[Call] = field(default_factory=list)
    """Of the decision under way."""
    asked: list[Call] = field(default_factory=list)
    """For actions, in the whole episode."""

    @property
    def step(self) -> int:
        return len(self.past)


class SynapseAgent(Unlearning):
    """Looks up solved tasks that are like the present one, shows a model how they were done, and does as it says.

    An action may be a block of many primitives, so that most tasks take a single answer. What a model writes is read by
    an interpreter and never run. A reply that says nothing of use takes a step in which nothing happens, as in the
    original; where there is none at all, the episode ends with the reason.

    Args:
        policy: a chat model, or a language model of this machine; None where `decoder` asks none.
        parser: of the environment; None where its observations list actions.
        settings: the keys of `SynapseSettings`.
    """

    def __init__(
        self, policy: "ChatModel | LanguagePolicy | None" = None, parser: Parser | None = None, **settings: Any
    ) -> None:
        self.settings = SynapseSettings(**settings)
        self.decoder = self.settings.decoder
        if self.decoder == "auto":
            self.decoder = "analogy" if policy is None else "model"
        speaks = self.decoder in ("model", "held") or self.settings.abstraction in ("implicit", "code")
        self.model: ChatModel | None = as_chat(policy) if speaks else None
        self.parser = parser
        self._episodes: Sessions[_Episode] = Sessions(_Episode)
        self._memory: ExemplarMemory | None = None
        self._exported: Exported | None = None
        self._warned = False

    def setup(self, trainer: "Trainer") -> None:
        if self.model is not None and hasattr(self.model, "to"):
            self.model.to(trainer.device)

    # -- memory --------------------------------------------------------------------------------------------------------

    @property
    def memory(self) -> ExemplarMemory:
        assert self._memory is not None, "prepare comes first"
        return self._memory

    @property
    def from_run(self) -> str | None:
        return self.settings.memory.from_run

    @property
    def remembers(self) -> bool:
        return self.settings.exemplars == "none" or (self._memory is not None and self._memory.is_filled)

    def prepare(self, folder: Path, report: Report) -> Metrics:
        if self.model is not None:
            self.model = Kept(self.model, folder / "calls")
        if self.settings.export == "original":
            self._exported = Exported(folder / "original", self.settings)
        self._memory = ExemplarMemory(folder / "memory", self.settings.memory)
        return {}

    def remember(self, episodes: Sequence[Trajectory], report: Report) -> Metrics:
        tongue = language(self.parser, episodes[0].steps[0].observation)
        self.memory.make(episodes, tongue, self.from_run or "")
        exemplars = self.memory.exemplary.exemplars
        shown = sum(len(own.demos) for own in exemplars.values())
        return {"memory/tasks": float(len(exemplars)), "memory/exemplars": float(shown)}

    # -- an episode ----------------------------------------------------------------------------------------------------

    def begin(self, episodes: Sequence[int]) -> None:
        self._episodes.begin(episodes)

    def act(self, observations: Sequence[Observation], deterministic: bool) -> list[Decision]:
        live = list(self._episodes.live.values())
        for one in live:
            one.calls = []
        tongue = language(self.parser, observations[0])
        self._look_up(live, observations)
        shown = self._abstracted(live, observations, deterministic)
        if self.decoder == "model":
            return self._said(tongue, live, observations, shown, deterministic)
        if self.decoder == "held":
            return self._chosen(tongue, live, observations, shown, deterministic)
        return [self._carried(tongue, *each) for each in zip(live, observations, shown, strict=True)]

    def end(self, trajectories: Sequence[Trajectory]) -> None:
        for trajectory, one in zip(trajectories, self._episodes.end(trajectories), strict=True):
            if not self._warned and self._memory is not None and self._memory.was_made_from(trajectory):
                self._warned = True
                log.warning(
                    "an exemplar shows how an episode that is played was solved (task %s, seed %d): its success says "
                    "little; make the memory of other pages",
                    *(trajectory.task, trajectory.seed),
                )
            if self._exported is not None:
                self._exported.write(trajectory, one.asked, one.vote.task if one.vote else None)

    def _look_up(self, live: Sequence[_Episode], seen: Sequence[Observation]) -> None:
        """Whose exemplars an episode is shown, at its first observation."""
        fresh = [(one, shown) for one, shown in zip(live, seen, strict=True) if one.vote is None]
        queries = [messages.specifier(goal(shown), state(shown)) for _, shown in fresh]
        match self.settings.exemplars:
            case "none":
                found = [Vote(None, ())] * len(fresh)
            case "memory":
                found = self.memory.vote(queries) if fresh else []
            case "task":
                found = [self.memory.by_name(str(shown.get("task", ""))) for _, shown in fresh]
            case "random":
                found = [self.memory.drawn(query, self.settings.seed) for query in queries]
        for (one, _), vote in zip(fresh, found, strict=True):
            one.vote = vote
            if vote.task is not None:
                own = self.memory.exemplary.exemplars[vote.task]
                one.exemplars = replace(own, demos=own.demos[: self.settings.shown])

    def _abstracted(
        self, live: Sequence[_Episode], seen: Sequence[Observation], deterministic: bool
    ) -> list[str]:
        """What is shown of each page (section 3.1); all of it where the exemplars do not show what is to be left."""
        pages = [state(one) for one in seen]
        if self.settings.abstraction == "goal":
            return [goal(one) or page for one, page in zip(seen, pages, strict=True)]
        left: dict[int, str] = {}
        failed: set[int] = set()
        if self.settings.abstraction == "code":
            left, failed = self._by_code(live, seen, pages, deterministic)
        if self.settings.abstraction != "none":
            shown = {at for at, one in enumerate(live) if at not in left and by_example(one.exemplars)}
            left |= self._by_example(live, pages, sorted(shown - failed), deterministic, messages.FIRST_FILTER_STOP)
            left |= self._by_example(live, pages, sorted(shown & failed), deterministic, messages.FALLBACK_FILTER_STOP)
        return [left.get(at, page) for at, page in enumerate(pages)]

    def _by_code(
        self, live: Sequence[_Episode], seen: Sequence[Observation], pages: Sequence[str], deterministic: bool
    ) -> tuple[dict[int, str], set[int]]:
        """What programs of the model leave of pages, by place, and the places where that failed."""
        asked = {
            at: talk
            for at, one in enumerate(live)
            if (talk := messages.code_for(one.exemplars, one.step, goal(seen[at]), pages[at])) is not None
        }
        replies = self._ask("filter_code", [live[at] for at in asked], list(asked.values()), deterministic, ())
        left = {at: filtered(reply.text, pages[at]) for at, reply in zip(asked, replies, strict=True)}
        failed = {at for at, text in left.items() if text is None}
        return {at: text for at, text in left.items() if text is not None}, failed

    def _by_example(
        self,
        live: Sequence[_Episode],
        pages: Sequence[str],
        places: Sequence[int],
        deterministic: bool,
        stop: Sequence[str],
    ) -> dict[int, str]:
        """What the model leaves of pages as the exemplars do, by place."""
        fallback = stop == messages.FALLBACK_FILTER_STOP
        talks = []
        for at in places:
            one = live[at]
            prompted = fallback or not one.exemplars.demos[0].is_trajectory
            talks.append(messages.abstraction(one.exemplars, one.step, pages[at], prompted))
        replies = self._ask("filter", [live[at] for at in places], talks, deterministic, stop)
        return {at: reply.text.strip() for at, reply in zip(places, replies, strict=True)}

    # -- decoders ------------------------------------------------------------------------------------------------------

    def _said(
        self, tongue: Language, live: Sequence[_Episode], seen: Sequence[Observation], shown: Sequence[str], mode: bool
    ) -> list[Decision]:
        """The model writes."""
        talks = [self._conversation(tongue, *each) for each in zip(live, seen, shown, strict=True)]
        lengths = [self._too_long(talk) for talk in talks]
        fit = [place for place, fault in enumerate(lengths) if not fault]
        listed = [
            tuple(f"```\n{action}\n```" for action in seen[place]["actions"]) for place in fit
        ] if fit and "actions" in seen[0] else None  # fmt: skip
        replies = self._ask(
            "act", [live[place] for place in fit], [talks[place] for place in fit], mode, messages.STOP, listed
        )
        decisions: list[Decision] = [self._ended(one, fault) for one, fault in zip(live, lengths, strict=True)]
        for place, reply in zip(fit, replies, strict=True):
            decisions[place] = self._meant(tongue, live[place], seen[place], shown[place], reply)
        return decisions

    def _chosen(
        self, tongue: Language, live: Sequence[_Episode], seen: Sequence[Observation], shown: Sequence[str], mode: bool
    ) -> list[Decision]:
        """The model chooses among programs that the exemplars and the page allow."""
        decisions: list[Decision] = [self._nothing_fits(one, at) for one, at in zip(live, shown, strict=True)]
        offered: dict[int, list[str]] = {}
        for place, (one, observation) in enumerate(zip(live, seen, strict=True)):
            if found := choices(*self._here(one, observation), partial(_fits, tongue, observation)):
                offered[place] = found
        talks = [self._conversation(tongue, live[place], seen[place], shown[place]) for place in offered]
        listed = [tuple(f"```\n{program}\n```" for program in found) for found in offered.values()]
        replies = self._ask("act", [live[place] for place in offered], talks, mode, messages.STOP, listed)
        for place, reply in zip(offered, replies, strict=True):
            decisions[place] = self._meant(tongue, live[place], seen[place], shown[place], reply)
        return decisions

    def _carried(self, tongue: Language, one: _Episode, seen: Observation, shown: str) -> Decision:
        """No model: the exemplar that is most alike."""
        carry = self.decoder == "analogy"
        found = proposals(*self._here(one, seen), partial(_fits, tongue, seen), carry)
        if not found:
            return self._nothing_fits(one, shown)
        return self._decision(tongue, one, seen, shown, found[0].program)

    def _here(self, one: _Episode, seen: Observation) -> tuple[str, str, Sequence[Any], int | None]:
        """What proposals are made from: task, page, exemplars, and at which step of theirs."""
        step = one.step if self.settings.trajectories else None
        return goal(seen), state(seen), one.exemplars.demos, step

    def _conversation(self, tongue: Language, one: _Episode, seen: Observation, shown: str) -> Conversation:
        """Everything up to the action (section 3.2), in the form of the released prompts."""
        exemplars, past = one.exemplars, one.past
        if self.settings.abstraction == "goal":
            exemplars = messages.of_goals(exemplars)
        if not self.settings.trajectories:
            exemplars, past = messages.in_pairs(exemplars), []
        alone: messages.Kind = "state_act" if tongue.alone else "multi_state_act"
        how = messages.kind(exemplars, self.settings.abstraction != "none", alone)
        task = one.vote.task if one.vote else None
        return messages.conversation(tongue.api, task or "", how, exemplars, goal(seen), past, shown)

    def _too_long(self, talk: Conversation) -> str:
        """Why it is not asked; "" if it is."""
        most = self.settings.max_prompt_tokens
        if most is None or self.model is None or tokens(self.model, talk) <= most:
            return ""
        return f"context limit: the prompt is longer than {most} tokens"

    def _ask(
        self,
        module: str,
        live: Sequence[_Episode],
        talks: Sequence[Conversation],
        deterministic: bool,
        stop: Sequence[str],
        listed: Sequence[Sequence[str]] | None = None,
    ) -> list[Reply]:
        if not talks:
            return []
        assert self.model is not None
        draws = [0 if deterministic else one.number * 2**20 + one.step for one in live]
        answers = ask(
            self.model, module, talks, max_tokens=self.settings.max_tokens, deterministic=deterministic, stop=stop,
            choices=listed, draws=draws,
        )  # fmt: skip
        for one, (_, call) in zip(live, answers, strict=True):
            one.calls.append(call)
            one.asked += [call] if module == "act" else []
        return [reply for reply, _ in answers]

    # -- what a reply means --------------------------------------------------------------------------------------------

    def _meant(self, tongue: Language, one: _Episode, seen: Observation, shown: str, reply: Reply) -> Decision:
        program = messages.fenced(reply.text)
        if not program and (why := unsaid(reply, "its program ends")):
            return self._ended(one, why)
        return self._decision(tongue, one, seen, shown, program)

    def _decision(self, tongue: Language, one: _Episode, seen: Observation, shown: str, program: str) -> Decision:
        meant = tongue.meant(program, seen)
        one.past.append(Turn(program, state(seen), shown))
        extras = self._extras(one, program=program, **({"fault": meant.fault} if meant.fault else {}))
        if meant.action is None:
            return Decision(None, extras, give_up=meant.fault)
        return Decision(meant.action, extras)

    def _nothing_fits(self, one: _Episode, shown: str) -> Decision:
        return self._ended(one, "no exemplar fits the page" if one.exemplars.demos else "there is no exemplar")

    def _ended(self, one: _Episode, why: str) -> Decision:
        return Decision(None, self._extras(one), give_up=why)

    def _extras(self, one: _Episode, **said: str) -> dict[str, Any]:
        """What was asked, and what was found in memory: task and similarity of each that voted."""
        vote = one.vote or Vote(None, ())
        found = {"exemplars_of": vote.task, "found": [[task, round(alike, 4)] for task, alike in vote.hits]}
        return {"calls": one.calls, "record": found | said}


def _fits(tongue: Language, seen: Observation, text: str) -> bool:
    return tongue.fits(text, seen)
