"""`agentlab check`: what is refused before anything heavy is imported; the rest is `examine`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from agentlab_runner.runners.config.compose import compose, draft
from agentlab_runner.runners.config.fit import fits
from agentlab_runner.runners.doctor import refuse_unmet
from agentlab_runner.runners.errors import Unreachable, UserError
from agentlab_runner.runners.launch import build, building, settle_threads

if TYPE_CHECKING:
    from agentlab_runner.runners.check.finding import Finding

PARTS = ("env", "agent")


def check(overrides: Sequence[str], *, episodes: int = 8, only: str | None = None) -> "list[Finding]":
    """What holds of the environment and the agent that overrides choose.

    Args:
        overrides: of the config, as other verbs take them.
        episodes: that each player who knows nothing plays.
        only: one of `PARTS`; None: the environment, and the agent if there is one.

    Raises:
        UserError: if the config is refused, or a server or device is not there.
    """
    if only not in (None, *PARTS):
        raise UserError(f"--only is {only!r}, but must be env or agent")
    if episodes < 1:
        raise UserError(f"--episodes is {episodes}, but at least one must be played")
    if (kinds := fits(draft(overrides), "env")) and "single" not in kinds:
        raise UserError(
            "agentlab check asks environments and agents that play alone; what a team's environment promises, "
            "docs/teams.md says, and envs/parallel_view.py shows a batched one to PettingZoo's own tests"
        )
    cfg = compose(overrides)
    if not cfg.get("env"):
        raise UserError("there is nothing to check: choose env=NAME, or an experiment with +exp=NAME")
    if only == "agent" and not cfg.get("agent"):
        raise UserError("there is no agent to check: choose agent=NAME, or an experiment with +exp=NAME")
    parts = [part for part in PARTS if part == only or (only is None and cfg.get(part))]
    settle_threads(cfg)
    refuse_unmet(cfg)
    if "agent" in parts:
        if cfg.trainer.get("strategy", "single") != "single":
            raise UserError("an agent is checked in one process; use trainer=cpu or trainer=gpu")
        with building():
            build(cfg)
    from agentlab_runner.runners.check.examine import examine  # brings torch, whose threads are settled now

    try:
        return examine(cfg, overrides, parts, episodes)
    except (ConnectionError, Unreachable) as fault:
        raise UserError(f"what is to be checked is not there: {fault}") from fault
