"""The Experiment that learns nothing: plays an agent as it stands, and can be gone on with in mid-table."""

import logging
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any, ClassVar

from hydra.utils import instantiate
from omegaconf import DictConfig

from agentlab_runner.runners.callbacks import Callbacks
from agentlab_runner.runners.errors import RolloutLost, RunFailed, Unreachable, UserError
from agentlab_runner.runners.evaluation.journal import Journal
from agentlab_runner.runners.evaluation.plan import Plan
from agentlab_runner.runners.evaluation.repeats import best_and_worst, headline, table
from agentlab_runner.runners.evaluation.solved import solved
from agentlab_runner.runners.evaluation.trials import by_trial, trials_table
from agentlab_runner.runners.experiment import PreparingAgent, RememberingAgent, RetryingAgent
from agentlab_runner.runners.online.contract import reported
from agentlab_runner.runners.online.evaluation import Line, line_of, summarised, tables, uncounted
from agentlab_runner.runners.online.held_out import evaluated
from agentlab_runner.runners.online.parts import check, make_agent, model_maker, single_rollout
from agentlab_runner.runners.online.rollout import EVAL, check_tasks, episode_seeds, play
from agentlab_runner.runners.processes.rng import seed_everything
from agentlab_runner.runners.terminal.progress import Progress
from agentlab_runner.runners.types import Metrics, Trajectory

if TYPE_CHECKING:
    from agentlab_runner.runners.run.folder import Run

log = logging.getLogger(__name__)

NAME = "evaluation"
"""What its table and recorded episodes are called."""

OnNumbered = Callable[[int, Trajectory], None]


class EvaluationExperiment:
    """Tasks x seeds x repeats in lockstep over `env.num_envs` environments, for any agent.

    An agent that learns is played untrained. Every episode that ends is in the journal before the next one counts, so
    that a run that was killed plays what is missing; no trajectory is kept but `eval.record` of them, on disk.
    """

    LEARNS: ClassVar[bool] = False
    """`agentlab eval` begins a run of it as `agentlab train` does."""
    MAY_CHANGE: ClassVar[tuple[str, ...]] = (
        "env.num_envs", "eval.record", "model.max_cost", "model.max_calls", "model.max_tokens_per_run",
        "model.parallel", "model.record", "model.listed", "model.stream",
    )  # fmt: skip
    """Keys that change no answer: a resumed run may have others."""

    def __init__(self, cfg: DictConfig) -> None:
        """
        Raises:
            UserError: if the config asks for what an evaluation by itself does not do.
        """
        check(cfg)
        if cfg.trainer.get("strategy", "single") != "single":
            raise UserError("an evaluation plays in one process; use trainer=cpu or trainer=gpu")
        if cfg.get("init_from"):
            raise UserError("an evaluation plays agents as they start; leave out init_from, or evaluate that run")
        if cfg.eval.get("also"):
            raise UserError("an evaluation plays one set of episodes; give eval.also=null and choose it by eval.env")
        if model_maker(cfg) is not None:
            raise UserError("this model is made from demonstrations, and an evaluation has none; choose another model")
        self.cfg = cfg
        self.plan = Plan.of(cfg.eval, trials=cfg.agent.get("trials") or 1)

    def train(self, run: "Run") -> Metrics:
        """Play what the journal lacks and write the table; an end in between leaves one of what was played."""
        journal, callbacks = Journal(run.path, self.plan), Callbacks(self.cfg)
        journal.repair()
        steps, shown = len(self.plan.starts), self.plan.shown(self.cfg.eval.record)
        with callbacks.during(run):

            def keep(number: int, trajectory: Trajectory) -> None:
                if number in shown:
                    run.add_episode(NAME, number, trajectory, step=steps)
                journal.append(self._line(number, trajectory))

            try:
                if journal.missing():
                    self._play(run, journal.lines(), keep)
            except BaseException as fault:
                if lines := journal.lines():
                    self._write(run, lines)
                if not isinstance(fault, RunFailed) or isinstance(fault, Unreachable | RolloutLost):
                    raise
                raise RunFailed(f"{fault}; go on with: agentlab resume run={run.path}") from fault
            summary = self._write(run, journal.lines())
            run.show_episodes(NAME)
            metrics = self._told(summary)
            run.log(metrics, step=steps)
            callbacks.on_eval(run, steps, metrics)
        return self._result(metrics, summary)

    def evaluate(self, run: "Run", checkpoint: str) -> Metrics:
        """Play all of it once more, apart from the run's own table and journal.

        Raises:
            UserError: if a certain checkpoint is asked for.
        """
        if checkpoint not in ("last", "none"):
            raise UserError(f"an evaluation keeps no checkpoints; leave out checkpoint={checkpoint}")
        lines: list[Line] = []
        recorded: dict[int, Trajectory] = {}
        shown = self.plan.shown(self.cfg.eval.record)

        def keep(number: int, trajectory: Trajectory) -> None:
            lines.append(self._line(number, trajectory))
            if number in shown:
                recorded[number] = trajectory

        self._play(run, [], keep)
        summary = self._write(run, sorted(lines, key=lambda line: line["number"]))
        run.save_episodes(NAME, [recorded[number] for number in sorted(recorded)], step=len(lines))
        return self._result(self._told(summary), summary)

    def _play(self, run: "Run", lines: Sequence[Line], keep: OnNumbered) -> None:
        """Trial after trial, the episodes that are missing beside those of `lines`."""
        cfg = self.cfg
        seed_everything(cfg.seed)
        trainer = instantiate(cfg.trainer)
        done = {line["number"]: line for line in lines}
        with closing(single_rollout(cfg, trainer, cfg.eval.env)) as rollout:
            if not done:
                check_tasks(rollout.envs[0], self.plan.by_task)
            agent = make_agent(cfg, run.path, trainer)
            if isinstance(agent, PreparingAgent):
                with Progress(1, "preparing") as progress:
                    made = reported(agent, "prepare", agent.prepare(run.path, progress.report))
                if isinstance(agent, RememberingAgent) and not agent.remembers and (shown := solved(agent, cfg)):
                    with Progress(1, "remembering") as progress:
                        made = {**made, **reported(agent, "remember", agent.remember(shown, progress.report))}
                if made and run.owned and not run.apart:
                    run.log(made, step=0)
            for part in ("warm_start", "offline"):
                if cfg.get(part) and not (part == "warm_start" and isinstance(agent, RememberingAgent)):
                    log.warning("%s is left out: an evaluation learns nothing", part)
            if self.plan.trials > 1 and not isinstance(agent, RetryingAgent):
                raise UserError(f"{cfg.agent._target_} cannot try again after a failure; leave out agent.trials")
            for trial in range(self.plan.trials):
                if trial:
                    again = self.plan.of_trial(trial, done)
                    agent.retry({start.number: start.number - len(self.plan.starts) for start in again})
                starts = self.plan.missing(trial, done)
                # what draws from the global generators draws nothing again that the episodes before have drawn
                seed_everything(episode_seeds(cfg.seed, EVAL, len(done), count=1)[0])
                wins = played = 0
                label = "playing" if trial == 0 else f"trial {trial + 1}"
                before = len(self.plan.of_trial(trial, done)) - len(starts)
                with Progress(before + len(starts), label, done=before) as progress:
                    for number, trajectory in play(agent, rollout.envs, starts, deterministic=cfg.eval.deterministic):
                        keep(number, trajectory)
                        done[number] = self._line(number, trajectory)
                        played, wins = played + 1, wins + trajectory.success
                        progress.advance(success=wins / played)

    def _line(self, number: int, trajectory: Trajectory) -> dict[str, Any]:
        place = {"repeat": number % self.plan.repeats, "trial": number // len(self.plan.starts)}
        return {**line_of(number, trajectory), **place}

    def _write(self, run: "Run", lines: Sequence[Line]) -> dict[str, Any]:
        """The table of these episodes, as a file of the run."""
        first = [line for line in lines if line["trial"] == 0]
        summary = {
            "planned": len(self.plan.starts),
            **summarised(first),
            "repeats": best_and_worst(first, self.plan.repeats),
            "trials": by_trial(lines, self.plan.trials, len(self.plan.starts)),
        }
        run.write_eval(NAME, summary, step=len(lines))
        return summary

    def _told(self, summary: dict[str, Any]) -> Metrics:
        found = {f"eval/{name}": one for name, one in tables(summary).items()}
        if summary["repeats"]:
            found["eval/repeats"] = table(summary["repeats"])
        if summary["trials"]:
            found["eval/trials"] = trials_table(summary["trials"])
        return {**evaluated(summary), **headline(summary["repeats"]), **found}

    def _result(self, metrics: Metrics, summary: dict[str, Any]) -> Metrics:
        """
        Raises:
            RunFailed: if no episode says anything of the agent.
        """
        if said := uncounted(summary):
            raise RunFailed(said)
        return metrics
