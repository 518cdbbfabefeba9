"""The evaluation episodes of a run: the held-out set its success is of, and further sets beside it."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from typing import Any

from omegaconf import DictConfig

from agentlab_runner.runners.experiment import Collects, OnEpisode
from agentlab_runner.runners.online.evaluation import headline, summarise
from agentlab_runner.runners.online.rollout import episode_seeds
from agentlab_runner.runners.processes.rng import forked
from agentlab_runner.runners.types import Metrics, Trajectory


class HeldOut:
    """`eval.env` and the sets of `eval.also`, each with environments of its own.

    Args:
        cfg: the node `eval`.
        stream: name of the seed stream.
        make: the rollout of environments that have what it is given otherwise than training ones.
    """

    def __init__(self, cfg: DictConfig, stream: int, make: Callable[[dict[str, Any]], Collects]) -> None:
        self.cfg = cfg
        self.seeds = episode_seeds(cfg.seed, stream, count=cfg.episodes)
        own = {str(name): value for name, value in cfg.env.items()}
        with ExitStack() as opened:
            self._main = opened.enter_context(closing(make(own)))
            self._also = {
                str(name): opened.enter_context(closing(make({**own, **changes})))
                for name, changes in (cfg.get("also") or {}).items()
            }
            self._opened = opened.pop_all()

    def play(self, agent: Any, on_episode: OnEpisode | None = None) -> tuple[Sequence[Trajectory], dict[str, Any]]:
        """Every set with the same random stream, which is no part of what training draws.

        Returns:
            The episodes of the held-out set, and its summary, which holds those of the others under `also`.
        """
        trajectories = self._collect(self._main, agent, on_episode)
        summary = summarise(trajectories)
        if self._also:
            summary["also"] = {name: summarise(self._collect(one, agent)) for name, one in self._also.items()}
        return trajectories, summary

    def _collect(self, rollout: Collects, agent: Any, on_episode: OnEpisode | None = None) -> Sequence[Trajectory]:
        with forked(self.cfg.seed):
            return rollout.collect(agent, self.seeds, deterministic=self.cfg.deterministic, on_episode=on_episode)

    def close(self) -> None:
        self._opened.close()


def evaluated(summary: dict[str, Any]) -> Metrics:
    """The scalars of a summary: `eval/success` and so on, and `eval/NAME/success` of a further set."""
    sets = {"eval": summary} | {f"eval/{name}": one for name, one in summary.get("also", {}).items()}
    return {key: value for prefix, one in sets.items() for key, value in headline(one, prefix).items()}
