"""What an iteration of CoSo with weights from the parser itself costs beyond one of PPO, on NumberLine as it stands."""

import statistics
from typing import Any

from benchmarks.figures import Figure, Stopwatch, spread
from benchmarks.setting import QUICK, environments, warm_start
from runners.rng import seed_everything
from runners.rollout import collect, episode_seeds

EXP = "coso_numberline"
ROUNDS = 20


def measure(quick: bool = False) -> list[Figure]:
    """Wall time of learning without entropy and with causal entropy from the same weights and the same episodes.

    In every round CoSo plays, then both learn from what it played, in turn; the plain learner then takes CoSo's state.
    So the policy changes as in training and utterances are new as often as there. The rollout is the same for both.
    """
    rounds = 2 if quick else ROUNDS
    overrides = (*QUICK, "rollout_size=16") if quick else ()
    with warm_start(overrides, EXP) as start:
        coso, ppo = start.agent(), start.agent(entropy="none")
        envs = environments(overrides, exp=EXP)
        seconds: dict[str, list[float]] = {"rollout": [], "ppo": [], "coso": []}
        for number in range(rounds + 1):
            seed_everything(number)
            ppo.load_state_dict(coso.state_dict())
            watch = Stopwatch()
            episodes = collect(coso, envs, episode_seeds(number, count=start.cfg.rollout_size))
            seconds["rollout"].append(watch.read()[0])
            for name, agent in sorted({"ppo": ppo, "coso": coso}.items(), reverse=number % 2 == 0):
                watch = Stopwatch()
                agent.learn(episodes, start.trainer)
                seconds[name].append(watch.read()[0])
    typical = {name: statistics.median(values[1:]) for name, values in seconds.items()}
    extra = (typical["coso"] - typical["ppo"]) / (typical["rollout"] + typical["ppo"])
    details: dict[str, Any] = {f"{name}_seconds": spread(values[1:]) for name, values in seconds.items()}
    return [
        {
            "figure": "extra time of an iteration, CoSo (exact) over PPO",
            "measured": 100 * extra,
            "unit": "%",
            "bar": "<= 10",
            "details": details,
        }
    ]
