"""The rules of an environment, and of an agent, in turn."""

from collections.abc import Collection, Iterator, Sequence
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
from agentlab_runner.runners.config.modules import variable
from agentlab_runner.runners.config.targets import check_targets
from agentlab_runner.runners.files.cache import cache_home
from agentlab_runner.runners.launch import build, building
from agentlab_runner.runners.online.warm_start import env_settings
from agentlab_runner.runners.terminal.progress import Progress

FIRST = ("answers", "seeds decide", "another worker")
"""Rules of the environment without which nothing can be said of an agent in it."""


def examine(cfg: DictConfig, overrides: Sequence[str], parts: Collection[str], episodes: int) -> list[Finding]:
    """What holds of these parts of a config; see `check`."""
    findings: list[Finding] = []
    rules = (len(ENVIRONMENT) if "env" in parts else 0) + (len(AGENT) if "agent" in parts else 0)
    with Progress(rules, "checking") as progress:
        if "env" in parts:
            findings += asked("env", ENVIRONMENT, _environment(cfg, episodes), progress)
        if "agent" in parts:
            findings += _agent(cfg, overrides, findings, progress)
    return findings


def _environment(cfg: DictConfig, episodes: int) -> Environment:
    settings = env_settings(cfg)
    settings.pop("num_envs", None)
    with building():
        check_targets(settings, "env")
        parser = instantiate(cfg.env.parser) if "parser" in cfg.env else None
    return Environment(settings, parser, episodes)


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
    models = cache_home() / "models"
    models.mkdir(parents=True, exist_ok=True)
    cache = folder / "cache"
    cache.mkdir()
    (cache / "models").symlink_to(models, target_is_directory=True)
    with variable("AGENTLAB_CACHE", str(cache)):
        yield
