"""Episodes a second of 16 phones: one batched generation a tick against a generation for each phone."""

from collections.abc import Sequence

from agentlab_runner.agents.coso.agent import CosoAgent
from agentlab_runner.runners.online.rollout import collect, episode_seeds
from agentlab_runner.runners.processes.rng import seed_everything
from agentlab_runner.runners.types import Decision, Observation, Trajectory
from benchmarks.figures import Figure, Stopwatch, spread
from benchmarks.setting import QUICK, Envs, environments, warm_start

PHONES, EPISODES, ROUNDS = 16, 64, 5


class OneByOne:
    """The same agent, asked for one phone at a time."""

    def __init__(self, agent: CosoAgent) -> None:
        self.agent = agent

    def begin(self, episodes: Sequence[int]) -> None:
        self.agent.begin(episodes)

    def act(self, observations: Sequence[Observation], deterministic: bool) -> list[Decision]:
        return [decision for one in observations for decision in self.agent.act([one], deterministic)]

    def end(self, trajectories: Sequence[Trajectory]) -> None:
        self.agent.end(trajectories)


def measure(quick: bool = False) -> list[Figure]:
    """Wall time of the same episodes in both ways, in turn; every rollout begins with no image encoded, as in training.

    The policy is the experiment's warm start, so that utterances end and episodes are as long as in training.
    """
    rounds = 1 if quick else ROUNDS
    with warm_start(QUICK if quick else ()) as start:
        agent, envs = start.agent(), environments(QUICK if quick else (), count=PHONES)
        ways: dict[str, CosoAgent | OneByOne] = {"batched": agent, "one by one": OneByOne(agent)}
        _play(agent, agent, envs, 0)  # fills the caches of prompts and prepared pixels for both
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        cpu = dict.fromkeys(ways, 0.0)
        steps = dict.fromkeys(ways, 0)
        for number in range(1, rounds + 1):
            for name in sorted(ways, reverse=number % 2 == 0):
                taken, worked, played = _play(ways[name], agent, envs, number)
                seconds[name].append(taken)
                cpu[name] += worked
                steps[name] += played
    per_second = {name: rounds * EPISODES / sum(values) for name, values in seconds.items()}
    return [
        {
            "figure": f"episodes/s of {PHONES} phones, batched / one by one",
            "measured": per_second["batched"] / per_second["one by one"],
            "unit": "x",
            "bar": ">= 5",
            "details": {
                name: {
                    "episodes_per_second": per_second[name],
                    "episodes_per_cpu_second": rounds * EPISODES / cpu[name],
                    "steps": steps[name],
                    "seconds": spread(seconds[name]),
                }
                for name in ways
            },
        }
    ]


def _play(way: CosoAgent | OneByOne, agent: CosoAgent, envs: Envs, number: int) -> tuple[float, float, int]:
    """Seconds, CPU seconds and steps of one rollout."""
    agent.policy.load_state_dict(agent.policy.state_dict())  # forgets the images it has encoded
    seed_everything(number)
    watch = Stopwatch()
    trajectories = collect(way, envs, episode_seeds(number, count=EPISODES))
    return *watch.read(), sum(len(trajectory.steps) for trajectory in trajectories)
