"""Random walks that meet every verb, for comparing engines in all that a policy sees and earns."""

from collections import Counter
from collections.abc import Iterator
from random import Random
from typing import Any

import agentlab_runner.envs.alfworld
from agentlab_runner.envs.alfworld.expert import next_move

SMALL: dict[str, Any] = {
    "receptacles": 6,
    "objects": 8,
    "sampling": "sequential",
    "observation": "both",
    "image_size": 64,
}


class Walker:
    """Says something at every step: a rare verb, what an expert would, or nonsense."""

    def __init__(self, seed: int) -> None:
        self.rng = Random(f"walk {seed}")
        self.said: Counter[str] = Counter()

    def utterance(self, env: Any) -> str:
        """The next one, chosen by what the twin `env` allows."""
        house = env.unwrapped
        luck = self.rng.random()
        if luck < 0.04:
            return self.rng.choice(["", "go to the moon 7", "take mug 1 from cabinet 99", '{"action": "dance"}'])
        if luck < 0.3:
            world, state = house.engine.world, house.engine.state
            command, _ = next_move(world, state, {receptacle.id for receptacle in world.receptacles})
        else:
            by_verb: dict[str, list[str]] = {}
            for possible in house.turn.commands:
                by_verb.setdefault(possible.split(" ")[0], []).append(possible)
            verbs = sorted(by_verb)
            rare = min(verbs, key=lambda verb: self.said[verb])
            command = self.rng.choice(by_verb[rare if luck < 0.6 else self.rng.choice(verbs)])
        self.said[command.split(" ")[0]] += 1
        return str(house.parser.render(command))


def together(
    walker: Walker, steps: int, episode_steps: int, first: int = 0, **settings: Any
) -> Iterator[tuple[Any, Any]]:
    """What the twin and the PDDL engine give at resets and steps for the same utterances, `steps` of them."""
    twin, pddl = (agentlab_runner.envs.alfworld.make(engine=engine, **SMALL | settings) for engine in ("twin", "pddl"))
    done, episode = 0, first
    while done < steps:
        options = {"episode": episode}
        yield twin.reset(seed=episode, options=options), pddl.reset(seed=episode, options=options)
        for _ in range(episode_steps):
            said = walker.utterance(twin)
            ours, theirs = twin.step(said), pddl.step(said)
            done += 1
            yield ours, theirs
            if ours[2] or ours[3] or theirs[2] or theirs[3]:
                break
        episode += 1
    pddl.close()
