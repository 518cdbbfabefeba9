"""The Experiment every online agent shares: warm start, then rollout, learn, evaluate, again and again."""

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.utils import get_object, instantiate
from omegaconf import DictConfig

from agentlab_runner.runners.callbacks import Callbacks
from agentlab_runner.runners.errors import RunFailed, UserError
from agentlab_runner.runners.experiment import (
    Collects,
    ImitatingAgent,
    Learner,
    OfflineAgent,
    PreparingAgent,
    TransferableAgent,
)
from agentlab_runner.runners.online.contract import reading, reported
from agentlab_runner.runners.online.evaluation import headline, summarise, tables, uncounted
from agentlab_runner.runners.online.held_out import HeldOut, evaluated
from agentlab_runner.runners.online.origin import Origin
from agentlab_runner.runners.online.parts import check, make_agent, make_curriculum, make_rollout, model_maker
from agentlab_runner.runners.online.rollout import DEMO, EVAL, OFFLINE, TARGET, TRAIN, demonstrate, episode_seeds
from agentlab_runner.runners.online.successes import Successes
from agentlab_runner.runners.online.warm_start import WarmStartCache, cache_key, corpus, env_settings
from agentlab_runner.runners.processes.collective import from_first, gather
from agentlab_runner.runners.processes.rng import forked, seed_everything
from agentlab_runner.runners.run.checkpoint import restore_rng, rng_state
from agentlab_runner.runners.run.signals import Patience
from agentlab_runner.runners.terminal.progress import Progress
from agentlab_runner.runners.types import Metrics, Trajectory

if TYPE_CHECKING:
    from agentlab_runner.runners.processes.trainer import Trainer
    from agentlab_runner.runners.run.folder import Run


class OnlineExperiment:
    """Rollout, learn, evaluate, for any agent on any Gymnasium environment."""

    def __init__(self, cfg: DictConfig) -> None:
        check(cfg)
        _check_eval(cfg)
        self.cfg = cfg
        self._env_steps = 0
        self._agent_steps = 0
        self._stopped = False
        """A callback has ended the run."""
        self._summary: Mapping[str, Any] = {}
        """Of the newest evaluation."""

    def train(self, run: "Run") -> Metrics:
        cfg = self.cfg
        seed_everything(cfg.seed)
        trainer = instantiate(cfg.trainer)
        callbacks = Callbacks(cfg)
        with ExitStack() as opened:  # devices first: what is not there is told before demonstrations are given
            rollout = opened.enter_context(closing(make_rollout(cfg, trainer)))
            held_out = opened.enter_context(closing(self._held_out(trainer)))
            self._curriculum = make_curriculum(cfg, rollout.tasks)
            resumes = run.has_checkpoint()
            if resumes:
                agent = self._agent(run, trainer)
                done, state = run.load_checkpoint()
                drawn = rng_state()
                agent.load_state_dict(state["agent"])
                restore_rng(drawn)  # an agent that builds networks as it loads them draws for their first weights
                self._env_steps, self._stopped = state["env_steps"], state.get("stopped", False)
                self._agent_steps = state.get("agent_steps", self._env_steps)
                self._curriculum.load_state_dict(state.get("curriculum", {}))
                callbacks.restore(state.get("callbacks", []))
            with callbacks.during(run):
                if not resumes:
                    fixed = self._fixed_episodes()  # first: a damaged file would make the warm start vain
                    agent, done = self._start(run, trainer), 0
                    if cfg.offline:
                        episodes = fixed if fixed is not None else self._play_offline(agent, rollout)
                        self._learn_offline(run, trainer, agent, episodes)
                if not resumes or state.get("owes"):
                    result = self._evaluate(agent, held_out, run, f"iteration_{done}", done)
                    self._stopped |= callbacks.on_eval(run, done, result)
                    run.log(result, step=done)
                    self._checkpoint(run, done, trainer, agent, result, callbacks)
                restore_rng(from_first(rng_state()))  # all draw what the process that leads draws
                result = self._iterate(run, trainer, agent, rollout, held_out, done, callbacks)
        self._refuse_uncounted()
        return result

    def evaluate(self, run: "Run", checkpoint: str) -> Metrics:
        cfg = self.cfg
        seed_everything(cfg.seed)
        trainer = instantiate(cfg.trainer)
        with closing(self._held_out(trainer)) as held_out:
            if checkpoint == "none":
                agent, name, step = self._start(run, trainer), "untrained", 0
            else:
                agent = self._agent(run, trainer)
                step, state = run.load_checkpoint(checkpoint)
                agent.load_state_dict(state["agent"])
                name = f"checkpoint_{step}"
            with Progress(cfg.eval.episodes, "evaluating") as progress:
                result = self._evaluate(agent, held_out, run, name, step, progress)
        self._refuse_uncounted()
        return {**result, **tables(self._summary)}

    def _iterate(
        self,
        run: "Run",
        trainer: "Trainer",
        agent: Learner,
        rollout: Collects,
        held_out: HeldOut,
        done: int,
        callbacks: Callbacks,
    ) -> Metrics:
        cfg = self.cfg
        result: Metrics = run.last("eval/success")
        promise = "stopping as soon as this iteration is done and saved; Ctrl-C again stops at once and loses it"
        successes = Successes(run, cfg.get("record_successes", 0))
        label, total, begun = self._budget(done)
        with Progress(total, label, done=begun) as progress, Patience(promise) as patience:
            for iteration in range(done + 1, cfg.total_iterations + 1):
                if self._spent() or self._stopped:
                    break
                began = time.perf_counter()
                seeds = episode_seeds(cfg.seed, TRAIN, iteration, count=cfg.rollout_size // cfg.group_size)
                with self._kept(run, iteration - 1, trainer, agent, callbacks):
                    tasks = self._curriculum.propose(len(seeds))
                    trajectories = rollout.collect(agent, seeds, tasks=tasks, group_size=cfg.group_size)
                if trainer.is_main:
                    successes.record(trajectories, iteration)
                collected = time.perf_counter()
                self._count(trajectories)
                played = summarise(trajectories)
                metrics: dict[str, Any] = {**headline(played, "train")}
                metrics |= reported(agent, "learn", agent.learn(trajectories, trainer))
                metrics |= self._teach(iteration, agent, rollout, trajectories)
                metrics |= {"train/env_steps": float(self._env_steps), "train/agent_steps": float(self._agent_steps)}
                metrics |= {"time/rollout": collected - began, "time/learn": time.perf_counter() - collected}
                self._stopped = callbacks.on_iteration(run, iteration, metrics)
                last = iteration == cfg.total_iterations or self._spent() or self._stopped
                due = last or iteration % cfg.eval.every == 0
                if due:
                    with self._kept(run, iteration, trainer, agent, callbacks, metrics):
                        result = self._evaluate(agent, held_out, run, f"iteration_{iteration}", iteration)
                    metrics |= result
                    self._stopped |= callbacks.on_eval(run, iteration, result)
                run.log(metrics, step=iteration)
                stop = from_first(patience.asked)
                if due or stop or iteration % cfg.checkpoint.every == 0:
                    self._checkpoint(run, iteration, trainer, agent, result if due else {}, callbacks)
                come = min(self._budget(iteration)[2], total)
                progress.update(come, train=played["success"], held_out=_score(result))
                if stop and not (last or self._stopped):
                    raise KeyboardInterrupt
        return result

    def _checkpoint(
        self,
        run: "Run",
        step: int,
        trainer: "Trainer",
        agent: Learner,
        result: Metrics,
        callbacks: Callbacks,
        owes: bool = False,
    ) -> None:
        """Save; `owes` says that an evaluation is due before the next iteration."""
        state = {"agent": trainer.whole(agent.state_dict()), "env_steps": self._env_steps, "owes": owes}
        state |= {"agent_steps": self._agent_steps, "curriculum": self._curriculum.state_dict()}
        state |= {"callbacks": callbacks.state(), "stopped": self._stopped}
        run.save_checkpoint(step, state, _score(result))

    @contextmanager
    def _kept(
        self,
        run: "Run",
        step: int,
        trainer: "Trainer",
        agent: Learner,
        callbacks: Callbacks,
        metrics: Metrics | None = None,
    ) -> Iterator[None]:
        """Inside episodes are played; whatever ends that for good leaves a checkpoint of `step`, as it was before.

        Args:
            metrics: of that step, where they are not logged yet because it is an evaluation that is played.
        """
        before = rng_state()
        try:
            yield
        except (RunFailed, KeyboardInterrupt):
            if trainer.strategy != "fsdp" and all(known.step != step for known in run.checkpoints.all()):
                restore_rng(before)
                if metrics is not None:
                    run.log(metrics, step)
                self._checkpoint(run, step, trainer, agent, {}, callbacks, owes=metrics is not None)
            raise

    def _budget(self, iteration: int) -> tuple[str, int, int]:
        """What is counted until the run ends, how much of it in all, and how much of it now."""
        if self.cfg.total_env_steps is not None:
            return "training, environment steps", self.cfg.total_env_steps, self._env_steps
        if self.cfg.get("total_agent_steps") is not None:
            return "training, agent steps", self.cfg.total_agent_steps, self._agent_steps
        return "training", self.cfg.total_iterations, iteration

    def _spent(self) -> bool:
        env_steps, agent_steps = self.cfg.total_env_steps, self.cfg.get("total_agent_steps")
        return self._env_steps >= (env_steps or math.inf) or self._agent_steps >= (agent_steps or math.inf)

    def _count(self, trajectories: Sequence[Trajectory]) -> None:
        self._env_steps += sum(len(trajectory.steps) for trajectory in trajectories)
        self._agent_steps += sum(trajectory.agent_steps for trajectory in trajectories)

    def _teach(
        self, iteration: int, agent: Learner, rollout: Collects, trajectories: Sequence[Trajectory]
    ) -> Metrics:
        """What the curriculum makes of an iteration, and of the target if it asks to see that."""
        target: Sequence[Trajectory] = ()
        if count := self._curriculum.target_episodes:
            seeds = episode_seeds(self.cfg.seed, TARGET, iteration, count=count)
            with forked(self.cfg.seed):
                target = rollout.collect(agent, seeds, deterministic=self.cfg.eval.deterministic)
            self._count(target)
        return reported(self._curriculum, "feedback", self._curriculum.feedback(trajectories, target, agent))

    def _evaluate(
        self, agent: Learner, held_out: HeldOut, run: "Run", name: str, step: int, progress: Progress | None = None
    ) -> Metrics:
        played: list[Trajectory] = []

        def on_episode(trajectory: Trajectory) -> None:
            played.append(trajectory)
            if progress is not None:
                progress.update(len(played), success=sum(t.success for t in played) / len(played))

        trajectories, summary = held_out.play(agent, on_episode)
        run.write_eval(name, summary, step)
        run.save_episodes(name, trajectories, limit=self.cfg.eval.record, step=step)
        self._summary = summary
        return evaluated(summary)

    def _refuse_uncounted(self) -> None:
        """
        Raises:
            RunFailed: if no episode of the last evaluation says anything of the agent.
        """
        if self._summary and (said := uncounted(self._summary)):
            raise RunFailed(said)

    def _start(self, run: "Run", trainer: "Trainer") -> Learner:
        """An agent that has learnt nothing yet, but in another run or from demonstrations where the config says so."""
        if self.cfg.get("init_from"):
            agent = self._from_another_run(run, trainer)
        else:
            agent = self._warm_start(run, trainer) if self.cfg.warm_start else self._agent(run, trainer)
        seed_everything(self.cfg.seed)  # what follows draws the same, whether the warm start was made now or kept
        return agent

    def _from_another_run(self, run: "Run", trainer: "Trainer") -> Learner:
        """In place of a warm start: the weights that another run has learnt, and the model if that run made it."""
        origin = Origin.find(self.cfg).as_begun(run) if trainer.is_main else None
        model = run.path / "model"
        if origin is not None and model_maker(self.cfg) is not None and not model.exists():
            origin.copy_model(model)
        learnt = from_first(origin.agent_state() if origin is not None else None)  # and the model is there
        assert learnt is not None
        agent = self._agent(run, trainer)
        if not isinstance(agent, TransferableAgent):
            raise UserError(f"{self.cfg.agent._target_} cannot start from another run's weights; leave out init_from")
        try:
            agent.load_weights(learnt)
        except (RuntimeError, KeyError, ValueError) as fault:
            said = " ".join(f"{type(fault).__name__}: {fault}".split())[:300]
            raise UserError(
                f"the weights of {self.cfg.init_from} do not fit; give agent and model that run's shape ({said})"
            ) from fault
        if origin is not None:
            run.record_origin(origin.record())
        return agent

    def _warm_start(self, run: "Run", trainer: "Trainer") -> Learner:
        cfg = self.cfg
        cache, key = WarmStartCache(), cache_key(cfg)
        model = run.path / "model"
        kept = from_first(cache.restore(key, model) if trainer.is_main else None)
        if kept is not None:
            agent = self._agent(run, trainer)
            agent.load_state_dict(kept["agent"])
            run.log(kept["metrics"], step=0)
            return agent
        demonstrator = instantiate(cfg.warm_start.demonstrator)
        seeds = episode_seeds(cfg.seed, DEMO, count=cfg.warm_start.episodes)
        settings = env_settings(cfg, cfg.warm_start.get("env"))
        settings.pop("num_envs")
        env = instantiate(settings, worker=0, _convert_="all")
        try:
            with Progress(len(seeds), "demonstrations") as progress:
                demonstrations = demonstrate(demonstrator, env, seeds, lambda _: progress.advance())
        finally:
            env.close()
        seen = demonstrations[0].steps[0].observation
        if trainer.is_main:
            with reading(get_object(cfg.agent._target_), env, seen):
                self._make_model(model, demonstrations)
        gather(None)  # nobody goes on before the model is there
        agent = self._agent(run, trainer)
        if not isinstance(agent, ImitatingAgent):
            raise UserError(f"{cfg.agent._target_} cannot learn from demonstrations; run it with warm_start=null")
        with Progress(1, "warm start") as progress, reading(agent, env, seen):
            learnt = reported(agent, "imitate", agent.imitate(demonstrations, trainer, progress.report))
        metrics = {f"warm_start/{name}": value for name, value in learnt.items() if isinstance(value, float)}
        run.log(metrics, step=0)
        state = trainer.whole(dict(agent.state_dict()))
        if trainer.is_main:
            cache.store(key, model, {"agent": state, "metrics": metrics})
        return agent

    def _make_model(self, folder: Path, demonstrations: Sequence[Trajectory]) -> None:
        """A model made here (`model.make`) gets its vocabulary from the demonstrations."""
        if model_maker(self.cfg) is not None and not folder.exists():
            texts = [(s.observation["text"], s.decision.action) for t in demonstrations for s in t.steps]
            instantiate(model_maker(self.cfg), folder=folder, corpus=corpus(texts))

    def _agent(self, run: "Run", trainer: "Trainer") -> Learner:
        agent: Learner = make_agent(self.cfg, run.path, trainer)
        if isinstance(agent, PreparingAgent):
            with Progress(1, "preparing") as progress:
                agent.prepare(run.path, progress.report)
        return agent

    def _fixed_episodes(self) -> list[Trajectory] | None:
        """The offline data set, where the config says what loads it."""
        source = self.cfg.offline.get("source") if self.cfg.offline else None
        episodes: list[Trajectory] | None = instantiate(source) if source else None
        return episodes

    def _play_offline(self, agent: Learner, rollout: Collects) -> Sequence[Trajectory]:
        """The offline data set as the warm-started policy plays it."""
        count = self.cfg.offline.episodes
        with Progress(count, "offline episodes") as progress:
            seeds = episode_seeds(self.cfg.seed, OFFLINE, count=count)
            return rollout.collect(agent, seeds, on_episode=lambda _: progress.advance())

    def _learn_offline(self, run: "Run", trainer: "Trainer", agent: Learner, episodes: Sequence[Trajectory]) -> None:
        if not isinstance(agent, OfflineAgent):
            raise UserError(f"{self.cfg.agent._target_} has no offline phase; run it with offline=null")
        with Progress(1, "offline phase") as progress:
            learnt = agent.learn_offline(episodes, trainer, progress.report)
            run.log(reported(agent, "learn_offline", learnt), step=0)

    def _held_out(self, trainer: "Trainer") -> HeldOut:
        return HeldOut(self.cfg.eval, EVAL, lambda changes: make_rollout(self.cfg, trainer, changes))


def _score(result: Metrics) -> float | None:
    """What makes a checkpoint the best one; None when no evaluation episode counted."""
    score = result.get("eval/success")
    return score if isinstance(score, float) else None


def _check_eval(cfg: DictConfig) -> None:
    """
    Raises:
        UserError: if the config asks for what only an evaluation by itself does.
    """
    plain: dict[str, Any] = {"tasks": [], "seeds": None, "repeats": 1}
    asked = [key for key, value in plain.items() if cfg.eval.get(key, value) != value]
    if asked:
        raise UserError(
            f"eval.{asked[0]} is for experiments that evaluate alone; leave it out, or add "
            "experiment._target_=agentlab_runner.runners.evaluation.experiment.EvaluationExperiment"
        )
