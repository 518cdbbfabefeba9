"""The few interfaces between rooms: Agent, LearningAgent, Parser, Experiment, and the Trainer an agent is given."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from agentlab_runner.runners.types import Decision, Metrics, Observation, Trajectory

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn
    from torch.optim import Optimizer

    from agentlab_runner.runners.run.folder import Run


class Trainer(Protocol):
    """What an agent is given to compute with; `runners/processes/trainer.py` says more of each."""

    @property
    def device(self) -> "torch.device":
        """Where modules and tensors belong."""

    @property
    def processes(self) -> int:
        """How many learn together."""

    @property
    def strategy(self) -> str:
        """`single`, `ddp` or `fsdp`."""

    def prepare(self, module: "nn.Module", *optimizers: "Optimizer") -> Any:
        """Move a module to the device, in place; make its optimisers afterwards."""

    def step(
        self,
        optimizer: "Optimizer",
        losses: "Iterable[Tensor]",
        parameters: "Iterable[nn.Parameter]",
        max_grad_norm: float | None = None,
    ) -> float:
        """One optimiser step on the sum of `losses`; gives the norm of the gradient before clipping."""


@runtime_checkable
class Agent(Protocol):
    """Chooses actions for a batch of live episodes."""

    def begin(self, episodes: Sequence[int]) -> None:
        """Episodes with these numbers start; an agent with memory opens one for each."""

    def act(self, observations: Sequence[Observation], deterministic: bool) -> list[Decision]:
        """One decision an observation, in order; `deterministic` asks for the mode instead of a sample."""

    def end(self, trajectories: Sequence[Trajectory]) -> None:
        """These episodes are over."""


@runtime_checkable
class PreparingAgent(Agent, Protocol):
    """An agent that keeps files in the run's folder, or builds something before episodes are played."""

    def prepare(self, folder: Path, report: "Report") -> Metrics:
        """Called once, after it is built and before the first episode, and again when the run is resumed.

        Args:
            folder: of the run; what the agent keeps there (`memory/`, `calls/`) is taken up again if it is there.
        """


@runtime_checkable
class RememberingAgent(PreparingAgent, Protocol):
    """An agent that is shown solved episodes before it plays, and keeps what it makes of them in the run's folder."""

    @property
    def from_run(self) -> str | None:
        """The run whose recorded successes it is shown; None: what the demonstrator of `warm_start` does."""

    @property
    def remembers(self) -> bool:
        """Whether it already has what it is to be shown; asked after `prepare`."""

    def remember(self, episodes: Sequence[Trajectory], report: "Report") -> Metrics:
        """Called once, before the first episode: episodes that were solved, each played just now from its start."""


@runtime_checkable
class RetryingAgent(Agent, Protocol):
    """An agent that is given what it failed at once more; how often at most, its config says by `trials`."""

    def retry(self, episodes: Mapping[int, int]) -> None:
        """The episodes with the numbers on the left are further trials of those on the right, which have failed."""


@runtime_checkable
class Learner(Protocol):
    """What improves from trajectories, whoever asks it for decisions and however."""

    def setup(self, trainer: Trainer) -> None:
        """Move modules to the trainer's device and make the optimisers; called once, before anything else."""

    def learn(self, trajectories: Sequence[Trajectory], trainer: Trainer) -> Metrics:
        """One iteration of the algorithm on freshly collected episodes."""

    def state_dict(self) -> Mapping[str, Any]:
        """Everything that learning changed: nested dicts, lists and tuples of tensors, numbers, strings and None."""

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back what `state_dict` gave; the next `learn` then gives the same numbers as without the break."""


@runtime_checkable
class LearningAgent(Agent, Learner, Protocol):
    """An agent that improves from trajectories."""


@runtime_checkable
class TransferableAgent(Learner, Protocol):
    """A learning agent that can start from what the same agent has learnt in another run."""

    def load_weights(self, state: Mapping[str, Any]) -> None:
        """Take the weights alone out of what `state_dict` gave there: no optimiser, counter, generator or replay.

        Raises:
            RuntimeError, KeyError or ValueError: if they are those of a model of another shape.
        """


@runtime_checkable
class ImitatingAgent(LearningAgent, Protocol):
    """A learning agent that can be started from demonstrations."""

    def imitate(self, demonstrations: Sequence[Trajectory], trainer: Trainer, report: "Report") -> Metrics:
        """Supervised warm start on scripted episodes, whose decisions carry the demonstrated action."""


@runtime_checkable
class OfflineAgent(LearningAgent, Protocol):
    """A learning agent with an offline phase before the online one."""

    def learn_offline(self, trajectories: Sequence[Trajectory], trainer: Trainer, report: "Report") -> Metrics:
        """Learn from a fixed set of episodes."""


@runtime_checkable
class Curriculum(Protocol):
    """Chooses what is practised next, and hears what came of it; `conf/curriculum/`."""

    @property
    def target_episodes(self) -> int:
        """How many episodes of what the environments are about it wants to see now, beside those it learns from.

        They are played as evaluations are, from a stream of seeds of their own, and counted as steps. 0: none.
        """

    def setup(self, tasks: Mapping[str, Mapping[str, float]], seed: int) -> None:
        """Called once, before anything else.

        Args:
            tasks: what it may choose from, by name, with the numbers that make each; empty where there are none.
            seed: of its own chance.

        Raises:
            UserError: if there is nothing that it could choose from.
        """

    def propose(self, count: int) -> Sequence[str] | None:
        """The tasks of the next iteration's episodes; None leaves each to the environment."""

    def feedback(self, trajectories: Sequence[Trajectory], target: Sequence[Trajectory], agent: Learner) -> Metrics:
        """What came of them, and `target_episodes` episodes of the target. `agent` has learnt from the former.

        Raises:
            UserError: if it wants to know something of the agent that this one cannot say.
        """

    def state_dict(self) -> Mapping[str, Any]:
        """As a learner's."""

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """As a learner's."""


OnEpisode = Callable[[Trajectory], None]
"""Is told of each episode when it is over."""


class Collects(Protocol):
    """What plays episodes, whoever decides in them."""

    @property
    def tasks(self) -> Mapping[str, Mapping[str, float]]:
        """What a curriculum may choose from."""

    def collect(
        self,
        agent: Any,
        seeds: Sequence[int],
        *,
        tasks: Sequence[str] | None = None,
        deterministic: bool = False,
        group_size: int = 1,
        on_episode: OnEpisode | None = None,
    ) -> Sequence[Trajectory]: ...

    def close(self) -> None: ...


class Report(Protocol):
    """Called from inside long work so that the progress line moves."""

    def __call__(self, done: int, total: int, **headline: float) -> None: ...


class Parser(Protocol):
    """Between what an agent writes and what an environment does; comes with the environment's config (`env.parser`)."""

    @property
    def labels(self) -> Sequence[str]:
        """Names of the classes of actions, by `label`."""

    @property
    def api(self) -> str:
        """The action language in a few lines, as one who has never seen it must be told.

        Examples stand in the lines after one that ends in `such as`, up to one that ends in a colon; what an example
        does may follow it after three spaces.
        """

    def parse(self, text: str) -> Any | None:
        """The action a text means; None if it means none."""

    def render(self, action: Any) -> str:
        """What to write for an action, in exactly the form `env.step` receives; `parse` gives the action back."""

    def label(self, action: Any) -> int:
        """Class of an action."""

    def same(self, first: Any, second: Any) -> bool:
        """Whether two actions do the same."""


@runtime_checkable
class ProgramParser(Parser, Protocol):
    """A parser whose actions are blocks of calls, which an agent may let a model write as a program.

    The program is the agent's to read (`agent.NAME(ARGUMENTS)`, loops, arithmetic); environments are given blocks.
    """

    @property
    def calls(self) -> Mapping[str, int]:
        """How many arguments each call takes, by its name."""

    @property
    def program_api(self) -> str:
        """As `api`, of programs."""

    def block(self, calls: Sequence[tuple[str, Sequence[Any]]]) -> str | None:
        """The action that calls make, name and arguments each; None if they make none."""

    def program(self, action: str) -> str | None:
        """The program of a block, a call a line; None where a part of it has no call."""


class Demonstrator(Protocol):
    """A scripted user for a warm start. It may look inside the environment; the agent it teaches may not."""

    def begin(self, env: Any, seed: int) -> None:
        """A fresh episode of `env` was reset; `seed` decides this demonstrator's own chance.

        Raises:
            ValueError: if it does not play this one, in a sentence that says what to do.
        """

    def decide(self, env: Any) -> Any:
        """The action to take now, in exactly the form `env.step` receives and the agent is to imitate."""


class Experiment(Protocol):
    """One kind of work: built from the composed config, run inside one Run.

    Building one is cheap, and done once before the run folder is made: what can be refused without one belongs there.
    """

    def train(self, run: "Run") -> Metrics:
        """Train until done, from scratch or from the run's last checkpoint."""

    def evaluate(self, run: "Run", checkpoint: str) -> Metrics:
        """Evaluate a checkpoint (`best`, `last`, an iteration, or `none`: the untrained agent) on held-out tasks."""
