"""From observations and episodes to what the learners of this room read, checked where a fault can come in."""

from dataclasses import dataclass

from agentlab_runner.agents.llm.candidates import Question
from agentlab_runner.agents.rl.phrases import chosen, duration, listed, reward
from agentlab_runner.runners.types import Observation, Trajectory


@dataclass(frozen=True, slots=True)
class Episode:
    """What was asked and answered, T decisions."""

    questions: tuple[Question, ...]
    choices: tuple[int, ...]
    """Index of the chosen phrase among the question's."""
    rewards: tuple[float, ...]
    durations: tuple[int, ...]
    """k_t, primitive steps each action took."""

    def __len__(self) -> int:
        return len(self.choices)


def question_of(observation: Observation) -> Question:
    """The prompt and the admissible phrases of an observation.

    Raises:
        UserError: if it has no list of actions, or their ids do not match it.
    """
    return Question(str(observation["text"]), listed(observation))


def episode(trajectory: Trajectory) -> Episode:
    """What a learner over phrases keeps of a trajectory."""
    return Episode(
        questions=tuple(question_of(step.observation) for step in trajectory.steps),
        choices=tuple(chosen(step) for step in trajectory.steps),
        rewards=tuple(reward(step) for step in trajectory.steps),
        durations=tuple(duration(step) for step in trajectory.steps),
    )
