"""What an iteration of CoSo with weights from the parser itself costs beyond one of PPO, on NumberLine as it stands."""

import statistics
from typing import Any

from agentlab_runner.runners.online.rollout import collect, episode_seeds
from agentlab_runner.runners.processes.rng import seed_everything
from benchmarks.figures import Figure, Stopwatch, spread
from benchmarks.setting import QUICK, environments, warm_start

EXP = "coso_numberline"
ROUNDS = 20


def measure(quick: bool = False) -> list[Figure]:
    """CPU time of learning without entropy and with causal entropy from the same weights and the same episodes.

    In every round CoSo plays, then both learn from what it played, in turn; the plain learner then takes CoSo's state.
    So the policy changes as in training and utterances are new as often as there. The rollout is the same for both. CPU
    seconds, because the difference is small and a busy machine's clock on the wall is not to be trusted with it.
    """
    rounds = 2 if quick else ROUNDS
    overrides = (*QUICK, "rollout_size=16") if quick else ()
    with warm_start(overrides, EXP) as start:
        agents = {"coso": start.agent(), "ppo": start.agent(entropy="none")}
        envs = environments(overrides, exp=EXP)
        seconds: dict[str, list[float]] = {"rollout": [], "ppo": [], "coso": []}
        for number in range(rounds + 1):
            seed_everything(number)
            agents["ppo"].load_state_dict(agents["coso"].state_dict())
            watch = Stopwatch()
            episodes = collect(agents["coso"], envs, episode_seeds(number, count=start.cfg.rollout_size))
            seconds["rollout"].append(watch.read()[1])
            for name, agent in sorted(agents.items(), reverse=number % 2 == 0):
                watch = Stopwatch()
                agent.learn(episodes, start.trainer)
                seconds[name].append(watch.read()[1])
    taken = list(zip(seconds["rollout"], seconds["ppo"], seconds["coso"], strict=True))[1:]
    extra = statistics.median((coso - ppo) / (rollout + ppo) for rollout, ppo, coso in taken)
    details: dict[str, Any] = {f"{name}_cpu_seconds": spread(values[1:]) for name, values in seconds.items()}
    return [
        {
            "figure": "extra time of an iteration, CoSo (exact) over PPO",
            "measured": 100 * extra,
            "unit": "%",
            "bar": "<= 10",
            "details": details,
        }
    ]
