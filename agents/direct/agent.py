"""State in, action out: a chat model as it is, with thoughts (ReAct), with lessons from failed trials (Reflexion)."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentlab_runner.agents.direct import prompts
from agentlab_runner.agents.direct.exemplars import load
from agentlab_runner.agents.direct.lessons import Lessons
from agentlab_runner.agents.direct.settings import DirectSettings
from agentlab_runner.agents.llm.chat.adopt import as_chat
from agentlab_runner.agents.llm.chat.kept import Kept
from agentlab_runner.agents.llm.chat.sessions import Sessions, ask, unsaid
from agentlab_runner.agents.llm.chat.thoughts import aloud
from agentlab_runner.agents.llm.chat.types import ChatModel, Conversation, Message, Reply
from agentlab_runner.agents.unlearning import Unlearning
from agentlab_runner.runners.errors import UserError
from agentlab_runner.runners.experiment import Parser, Report
from agentlab_runner.runners.frames import at_rest
from agentlab_runner.runners.types import Call, Decision, Metrics, Observation, Trajectory

if TYPE_CHECKING:
    from agentlab_runner.agents.llm.policy import LanguagePolicy
    from agentlab_runner.runners.experiment import Trainer

log = logging.getLogger(__name__)

MOST_ASKED = 2**20
"""Questions of one episode whose samples are told apart."""


@dataclass(slots=True)
class _Episode:
    number: int
    past: list[Message] = field(default_factory=list)
    """Observations, pictures left out, and answers in turn."""
    calls: list[Call] = field(default_factory=list)
    """Of the decision under way."""
    lessons: Sequence[str] = ()
    """From earlier trials."""
    asked: int = 0
    """Questions so far."""

    def draw(self) -> int:
        """A number that no other question of this or another episode has."""
        self.asked += 1
        return self.number * MOST_ASKED + self.asked


class DirectAgent(Unlearning):
    """Shows a chat model the state and takes the action from its answer.

    Where observations list `actions` the model chooses one of them; else it writes one in the language of the
    environment's parser, is asked once more where its answer holds none, and then gives up. A further trial of a failed
    task begins with the lessons of those before (reflexion), or is played like the first; then it is sampled even where
    the mode is asked for, which would repeat itself.

    Args:
        policy: a chat model, or a language model of this machine.
        parser: between text and actions; None where observations list their actions.
        settings: the keys of `DirectSettings`.

    Raises:
        UserError: if the model is none that is talked to, or there are too few exemplars, or those of another
            environment; and from `act` where there is neither a list of actions nor a parser that tells its language,
            or nothing the model can read.
    """

    def __init__(self, policy: "ChatModel | LanguagePolicy", parser: Parser | None = None, **settings: Any) -> None:
        self.settings = DirectSettings(**settings)
        self.model: ChatModel = as_chat(policy)
        self.parser = parser
        self.trials = self.settings.trials
        self._episodes: Sessions[_Episode] = Sessions(_Episode)
        self._lessons = Lessons()
        self._retried: set[int] = set()
        """Episodes that are further trials."""
        self._exemplars = load(self.settings.exemplars, self.settings.exemplar_count, self.thinks, parser)
        self._blind, self._hurried, self._told = False, False, False

    @property
    def thinks(self) -> bool:
        """Whether a thought comes before each action."""
        return self.settings.style != "plain"

    @property
    def learns(self) -> bool:
        """Whether a failed trial leaves a lesson."""
        return self.settings.style == "reflexion"

    def setup(self, trainer: "Trainer") -> None:
        if hasattr(self.model, "to"):
            self.model.to(trainer.device)

    def prepare(self, folder: Path, report: Report) -> Metrics:
        self.model = Kept(self.model, folder / "calls")
        if self.learns:
            self._lessons.keep(folder)
        return {}

    def retry(self, episodes: Mapping[int, int]) -> None:
        """Those with the numbers on the left are further trials of the failed ones on the right."""
        self._retried |= episodes.keys()
        self._lessons.retry(episodes)

    def begin(self, episodes: Sequence[int]) -> None:
        self._episodes.begin(episodes)

    def act(self, observations: Sequence[Observation], deterministic: bool) -> list[Decision]:
        live = list(self._episodes.live.values())
        for episode in live:
            episode.calls = []
        if self.learns:
            self._recall([one for one in live if not one.past], deterministic)
        elif any(one.number in self._retried for one in live):
            deterministic = False
        if "actions" in observations[0]:
            return self._choose(live, observations, deterministic)
        if self.parser is None:
            raise UserError(
                "the observation lists no `actions` and the environment has no parser that could read one from text; "
                "give it either (docs/adding_an_env.md)"
            )
        if not getattr(self.parser, "api", ""):
            raise UserError(
                f"{type(self.parser).__name__} does not tell its action language; give it an `api`, a few lines of text"
            )
        return self._write(live, observations, deterministic)

    def end(self, trajectories: Sequence[Trajectory]) -> None:
        for trajectory, episode in zip(trajectories, self._episodes.end(trajectories), strict=True):
            if not self._told and (trajectory.task, trajectory.seed) in self._exemplars.starts:
                self._told = True
                log.warning(
                    "an exemplar shows how an episode that is played was solved (task %s, seed %d): its success says "
                    "little; take agent.exemplars from a run with another eval.seed",
                    *(trajectory.task, trajectory.seed),
                )
            if self.learns and not trajectory.success and trajectory.stop.counts:
                self._lessons.failed(trajectory, episode.past)

    def _write(self, live: Sequence[_Episode], seen: Sequence[Observation], deterministic: bool) -> list[Decision]:
        """Free text, read by the parser; asked once more where it holds no action."""
        assert self.parser is not None
        form = prompts.REACT if self.thinks else prompts.PLAIN
        turns = [self._shown(observation) for observation in seen]
        rules = (self.parser.api, form)
        conversations = [self._conversation(one, turn, *rules) for one, turn in zip(live, turns, strict=True)]
        replies = self._ask("act", live, conversations, deterministic)
        actions = [self._action(reply.text) for reply in replies]
        lost = [index for index, action in enumerate(actions) if action is None]
        again = Message("user", (f"{prompts.AGAIN} {form}\n\n{self.parser.api}",))
        second = self._ask(
            "act",
            [live[index] for index in lost],
            [[*conversations[index], prompts.said(replies[index].text), again] for index in lost],
            deterministic,
        )
        for index, reply in zip(lost, second, strict=True):
            replies[index], actions[index] = reply, self._action(reply.text)
        return [self._decision(*each) for each in zip(live, turns, replies, actions, strict=True)]

    def _choose(self, live: Sequence[_Episode], seen: Sequence[Observation], deterministic: bool) -> list[Decision]:
        """One of the actions that each observation lists, after a thought where the style has one."""
        offered = [prompts.offered(observation) for observation in seen]
        turns = [self._shown(observation) for observation in seen]
        conversations = [self._conversation(one, turn) for one, turn in zip(live, turns, strict=True)]
        thoughts = [""] * len(live)
        if self.thinks:
            asked = [[*talk[:-1], prompts.with_words(talk[-1], prompts.THINK)] for talk in conversations]
            thoughts = [reply.text for reply in self._ask("think", live, asked, deterministic)]
            conversations = [
                [*talk, prompts.said(text), Message("user", (prompts.listed(own),))]
                for talk, text, own in zip(asked, thoughts, offered, strict=True)
            ]
        else:
            conversations = [
                [*talk[:-1], prompts.with_words(talk[-1], prompts.listed(own))]
                for talk, own in zip(conversations, offered, strict=True)
            ]
        replies = self._ask("act", live, conversations, deterministic, choices=[tuple(own) for own in offered])
        return [
            self._decision(one, turn, reply, own.get(reply.text), thought)
            for one, turn, reply, own, thought in zip(live, turns, replies, offered, thoughts, strict=True)
        ]

    def _recall(self, fresh: Sequence[_Episode], deterministic: bool) -> None:
        """What earlier trials taught; a lesson is drawn when the next trial begins, and so is among its calls."""
        lived = [(one, *found) for one in fresh if (found := self._lessons.lived(one.number)) is not None]
        told = self._ask("reflect", [one for one, *_ in lived], [talk for *_, talk in lived], deterministic)
        for (_, before, _), lesson in zip(lived, told, strict=True):
            self._lessons.learn(before, lesson.text.strip())
        for one in fresh:
            one.lessons = self._lessons.of(one.number)

    def _action(self, text: str) -> Any | None:
        """What an answer means, as `env.step` receives it; None if it means nothing."""
        assert self.parser is not None
        action = self.parser.parse(prompts.after_thought(text))
        return None if action is None else self.parser.render(action)

    def _ask(
        self,
        module: str,
        live: Sequence[_Episode],
        conversations: Sequence[Conversation],
        deterministic: bool,
        choices: Sequence[Sequence[str]] | None = None,
    ) -> list[Reply]:
        """The answers, each kept among its episode's calls."""
        if not conversations:
            return []
        key = "lesson_tokens" if module == "reflect" else "max_tokens"
        answers = ask(
            self.model,
            module,
            conversations,
            max_tokens=getattr(self.settings, key),
            deterministic=deterministic,
            choices=choices,
            draws=[0 if deterministic else one.draw() for one in live],
        )
        for one, (_, call) in zip(live, answers, strict=True):
            one.calls.append(call)
        replies = [replace(reply, text=aloud(reply.text, reply.finish == "length")) for reply, _ in answers]
        if not self._hurried and any(one.finish == "length" and one.tokens_out and not one.text for one in replies):
            self._hurried = True
            log.warning(
                "%s was cut at %d tokens before it said anything: one that thinks needs a higher agent.%s, or to be "
                "told not to think (a server by model.extra)",
                *(self.model.name, getattr(self.settings, key), key),
            )
        return replies

    def _conversation(self, one: _Episode, turn: Message, api: str = "", form: str = "") -> list[Message]:
        recent = one.past[-2 * self.settings.history :] if self.settings.history else []
        shown, (first, *others) = self._exemplars.turns, (*recent, turn)
        rules = prompts.system(api, form, one.lessons, examples=bool(shown))
        return [rules, *shown, prompts.headed(first, prompts.OWN) if shown else first, *others]

    def _shown(self, observation: Observation) -> Message:
        """An observation as the model is shown it.

        Raises:
            UserError: if it shows nothing the model could read.
        """
        text = observation.get("text")
        sees = self.model.sees and "image" in observation
        if not text and not sees:
            raise UserError(
                f"the environment shows nothing that {self.model.name} can read; choose one with `text` in its "
                "observations" + ("" if self.model.sees else ", or a model with eyes")
            )
        if "image" in observation and not self.model.sees and not self._blind:
            self._blind = True
            log.warning("%s reads text alone and is not shown the pictures", self.model.name)
        return prompts.shown(str(text or ""), at_rest(observation, "image") if sees else None)

    def _decision(self, one: _Episode, turn: Message, reply: Reply, action: Any | None, thought: str = "") -> Decision:
        one.past += [Message("user", (turn.text,)), prompts.said(prompts.joined(thought, reply.text))]
        extras = {"calls": one.calls}
        if action is None:
            return Decision(None, extras, give_up=unsaid(reply, "an action") or "the answer holds no action")
        return Decision(action, extras)
