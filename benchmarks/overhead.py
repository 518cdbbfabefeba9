"""What an iteration of CoSo costs beyond one of DigiRL, on the experiment as it stands."""

import statistics
from typing import Any

from agentlab_runner.agents.coso.agent import CosoAgent
from agentlab_runner.runners.online.rollout import collect, episode_seeds
from agentlab_runner.runners.processes.rng import seed_everything
from agentlab_runner.runners.processes.trainer import Trainer
from benchmarks.figures import Figure, Stopwatch, spread
from benchmarks.setting import QUICK, Envs, environments, warm_start

ROUNDS = 8


def measure(quick: bool = False) -> list[Figure]:
    """Wall time of rollout and learning with `entropy=none` and `entropy=causal`, in turn, from the same warm start.

    The first iteration of CoSo also pretrains the SCM, once a run. It counts in the second figure alone, which spreads
    it over the experiment's iterations.
    """
    rounds = 2 if quick else ROUNDS
    overrides = (*QUICK, "rollout_size=16", "agent.actor_steps=2") if quick else ()
    with warm_start(overrides) as start:
        agents = {entropy: start.agent(entropy=entropy) for entropy in ("none", "causal")}
        envs = environments(overrides)
        seconds: dict[str, list[float]] = {entropy: [] for entropy in agents}
        cpu: dict[str, list[float]] = {entropy: [] for entropy in agents}
        causal: list[float] = []
        for number in range(rounds + 1):
            for entropy in sorted(agents, reverse=number % 2 == 0):
                taken, worked, metrics = _iterate(agents[entropy], envs, start.trainer, number, start.cfg.rollout_size)
                seconds[entropy].append(taken)
                cpu[entropy].append(worked)
                if entropy == "causal":
                    causal.append(float(metrics["time/causal"]))
        iterations = start.cfg.total_iterations
    base, ours = (statistics.median(seconds[entropy][1:]) for entropy in ("none", "causal"))
    pretraining = causal[0] - statistics.median(causal[1:])
    details: dict[str, Any] = {
        "digirl_seconds": spread(seconds["none"][1:]),
        "coso_seconds": spread(seconds["causal"][1:]),
        "digirl_cpu_seconds": spread(cpu["none"][1:]),
        "coso_cpu_seconds": spread(cpu["causal"][1:]),
        "causal_part_seconds": spread(causal[1:]),
        "scm_pretraining_seconds": pretraining,
    }
    extra = ours / base - 1
    return [
        _figure("extra time of an iteration, CoSo over DigiRL", extra, details),
        _figure(f"the same with the SCM's pretraining spread over {iterations} iterations",
                extra + pretraining / iterations / base, {}),
    ]


def _iterate(
    agent: CosoAgent, envs: Envs, trainer: Trainer, number: int, episodes: int
) -> tuple[float, float, dict[str, Any]]:
    """Seconds, CPU seconds and metrics of one iteration."""
    seed_everything(number)
    watch = Stopwatch()
    metrics = agent.learn(collect(agent, envs, episode_seeds(number, count=episodes)), trainer)
    return *watch.read(), dict(metrics)


def _figure(name: str, share: float, details: dict[str, Any]) -> Figure:
    return {"figure": name, "measured": 100 * share, "unit": "%", "bar": "<= 15", "details": details}
