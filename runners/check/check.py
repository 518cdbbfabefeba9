"""`agentlab check`: the rules of an environment, and of an agent where one is chosen."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from hydra.utils import instantiate
from omegaconf import DictConfig

from agentlab_runner.runners.check.agents import Agents
from agentlab_runner.runners.check.finding import Finding, State, asked
from agentlab_runner.runners.check.rules import AGENT, ENVIRONMENT
from agentlab_runner.runners.check.small import played_alone, small
from agentlab_runner.runners.check.subject import Environment
from agentlab_runner.runners.config.compose import compose
from agentlab_runner.runners.config.targets import check_targets
from agentlab_runner.runners.doctor import refuse_unmet
from agentlab_runner.runners.errors import Unreachable, UserError
from agentlab_runner.runners.launch import build, building, settle_threads
from agentlab_runner.runners.online.warm_start import env_settings
from agentlab_runner.runners.terminal.progress import Progress

PARTS = ("env", "agent")
FIRST = ("answers", "seeds decide", "another worker")
"""Rules of the environment without which nothing can be said of an agent in it."""


def check(overrides: Sequence[str], *, episodes: int = 8, only: str | None = None) -> list[Finding]:
    """What holds of the environment and the agent that overrides choose.

    Args:
        overrides: of the config, as other verbs take them.
        episodes: that each player who knows nothing plays.
        only: one of `PARTS`; None: the environment, and the agent if there is one.

    Raises:
        UserError: if the config is refused, or a server or device is not there.
    """
    cfg = compose(overrides)
    if not cfg.get("env"):
        raise UserError("there is nothing to check: choose env=NAME, or an experiment with +exp=NAME")
    if only == "agent" and not cfg.get("agent"):
        raise UserError("there is no agent to check: choose agent=NAME, or an experiment with +exp=NAME")
    if episodes < 1:
        raise UserError(f"--episodes is {episodes}, but at least one must be played")
    settle_threads(cfg)
    refuse_unmet(cfg)
    with_agent = bool(cfg.agent) and only != "env"
    rules = (len(ENVIRONMENT) if only != "agent" else 0) + (len(AGENT) if with_agent else 0)
    findings: list[Finding] = []
    try:
        with Progress(rules, "checking") as progress:
            if with_agent:
                _refuse(cfg)
            if only != "agent":
                findings += asked("env", ENVIRONMENT, _environment(cfg, episodes), progress)
            if with_agent:
                findings += _agent(cfg, overrides, findings, progress)
    except (ConnectionError, Unreachable) as fault:
        raise UserError(f"what is to be checked is not there: {fault}") from fault
    return findings


def held(findings: Sequence[Finding]) -> bool:
    """Whether nothing that was asked does not hold."""
    return all(finding.state is not State.BROKEN for finding in findings)


def _environment(cfg: DictConfig, episodes: int) -> Environment:
    settings = env_settings(cfg)
    settings.pop("num_envs", None)
    with building():
        check_targets(settings, "env")
        parser = instantiate(cfg.env.parser) if "parser" in cfg.env else None
    settings.setdefault("_target_", "")
    return Environment(settings, parser, episodes)


def _refuse(cfg: DictConfig) -> None:
    with building():
        build(cfg)
    if cfg.trainer.get("strategy", "single") != "single":
        raise UserError("an agent is checked in one process; use trainer=cpu or trainer=gpu")


def _agent(
    cfg: DictConfig, overrides: Sequence[str], before: Sequence[Finding], progress: Progress
) -> list[Finding]:
    broken = [one.check for one in before if one.state is State.BROKEN and one.check in FIRST]
    if broken:
        said = f"{broken[0]} (env) comes first"
        return [Finding("agent", rule.name, State.OPEN, said) for rule in AGENT]
    with TemporaryDirectory(prefix="agentlab-check-") as name, _own_cache(Path(name)):
        folder = Path(name)
        learns = getattr(build(cfg), "LEARNS", True)
        shorter = small(cfg, overrides, folder / "runs")
        if not learns:
            shorter = played_alone(shorter, overrides)
        return asked("agent", AGENT, Agents(shorter, overrides, folder, learns), progress)


@contextmanager
def _own_cache(folder: Path) -> Iterator[None]:
    """Warm starts of a check are kept nowhere; models that were unpacked before are found."""
    given = os.environ.get("AGENTLAB_CACHE")
    models = Path(given or "~/.cache/agentlab").expanduser() / "models"
    models.mkdir(parents=True, exist_ok=True)
    cache = folder / "cache"
    cache.mkdir()
    (cache / "models").symlink_to(models, target_is_directory=True)
    os.environ["AGENTLAB_CACHE"] = str(cache)
    try:
        yield
    finally:
        if given is None:
            del os.environ["AGENTLAB_CACHE"]
        else:
            os.environ["AGENTLAB_CACHE"] = given
