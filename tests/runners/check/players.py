"""A small learner that keeps every promise, and one for every promise that breaks it."""

import gc
from typing import Any

import numpy as np
import torch

from agentlab_runner.runners.types import Decision
from tests.runners.check.rooms import Room


class Player:
    """A softmax over three actions for each of the two doors, pushed towards what won."""

    def __init__(self) -> None:
        self.worth = torch.zeros(2, 3)
        self.pace = torch.tensor(0.5)

    def setup(self, trainer) -> None: ...

    def begin(self, episodes) -> None: ...

    def end(self, trajectories) -> None: ...

    def act(self, observations, deterministic):
        return [Decision(self.choose(observation, deterministic)) for observation in observations]

    def choose(self, observation, deterministic) -> int:
        logits = self.worth[self.door(observation)]
        return int(logits.argmax() if deterministic else torch.multinomial(logits.softmax(0), 1))

    def door(self, observation) -> int:
        return int(observation["text"].endswith("right"))

    def learn(self, trajectories, trainer) -> dict[str, Any]:
        for trajectory in trajectories:
            for step in trajectory.steps:
                self.worth[self.door(step.observation), step.decision.action] += self.pace * (step.reward - 0.1)
        self.worth += 0.01 * torch.randn(2, 3)
        self.pace *= 0.9
        return {"worth": float(self.worth.sum()), "pace": float(self.pace)}

    def state_dict(self):
        return {"worth": self.worth.clone(), "pace": self.pace.clone()}

    def load_state_dict(self, state) -> None:
        self.worth, self.pace = state["worth"].clone(), state["pace"].clone()


class Broken(Player):
    def learn(self, trajectories, trainer):
        raise RuntimeError("no gradient")


class Forgetful(Player):
    """Its pace is not kept."""

    def state_dict(self):
        return {"worth": self.worth.clone()}

    def load_state_dict(self, state) -> None:
        self.worth = state["worth"].clone()


class Wavering(Player):
    """Draws even where the mode is asked for."""

    def choose(self, observation, deterministic):
        return super().choose(observation, False)


class Own(Player):
    """Draws from a generator that no checkpoint keeps."""

    def choose(self, observation, deterministic):
        return super().choose(observation, deterministic) if deterministic else int(np.random.default_rng().integers(3))


class Crowded(Player):
    """A row depends on how many there are."""

    def act(self, observations, deterministic):
        return [Decision(len(observations) % 3 if deterministic else 0) for _ in observations]


class Peeping(Player):
    """Looks for the environment and opens the door that it knows to be open."""

    def choose(self, observation, deterministic):
        rooms = [one for one in gc.get_objects() if isinstance(one, Room) and hasattr(one, "open")]
        return max((one.opens for one in rooms if f"door {one.open}" in observation["text"]), default=2)


class Grabbing(Player):
    """Writes into what it is shown."""

    def choose(self, observation, deterministic):
        observation["vector"][:] = 3
        return super().choose(observation, deterministic)


class Lazy(Player):
    """Makes a network as it is loaded, whose first weights are drawn."""

    def load_state_dict(self, state) -> None:
        torch.randn(100)
        super().load_state_dict(state)


class Plain:
    """No more than begin, act and end."""

    def begin(self, episodes) -> None: ...

    def end(self, trajectories) -> None: ...

    def act(self, observations, deterministic):
        return [Decision(len(observation["text"]) % 3) for observation in observations]


class Numbered(Plain):
    """Goes through the open door where it has begun an odd number of episodes, and waits where it has not."""

    def __init__(self) -> None:
        self.begun = 0

    def begin(self, episodes) -> None:
        self.begun += len(episodes)

    def act(self, observations, deterministic):
        doors = [int(observation["text"].endswith("right")) for observation in observations]
        return [Decision(door if self.begun % 2 else 2) for door in doors]
