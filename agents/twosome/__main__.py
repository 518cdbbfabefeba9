"""`python -m agentlab_runner.agents.twosome lint|forgetting|export`: look at prompts, and at what a run has learnt."""

import argparse
import sys
from pathlib import Path
from typing import Any

from hydra.utils import instantiate
from omegaconf import OmegaConf

from agentlab_runner.agents.twosome.agent import TwosomeAgent
from agentlab_runner.agents.twosome.forgetting import forgetting, harness
from agentlab_runner.agents.twosome.lint import MODES, lint, visited
from agentlab_runner.runners.config.compose import change, compose
from agentlab_runner.runners.errors import RunFailed, UserError
from agentlab_runner.runners.launch import open_run, split
from agentlab_runner.runners.terminal.tables import print_table


def main() -> None:
    options = argparse.ArgumentParser(prog="python -m agentlab_runner.agents.twosome", description=__doc__)
    verbs = options.add_subparsers(dest="verb", required=True)
    reads = verbs.add_parser("lint", help="the untrained policy in every state that random play meets")
    reads.add_argument("overrides", nargs="+", help="as for train: +exp=NAME KEY=VALUE")
    reads.add_argument("--episodes", type=int, default=20, help="played at random to meet states")
    forgets = verbs.add_parser("forgetting", help="likelihood of plain English before and after training")
    forgets.add_argument("overrides", nargs="+", help="run=PATH|latest checkpoint=last|best|N trainer=cpu")
    forgets.add_argument("--harness", nargs="*", default=[], metavar="TASK", help="tasks of lm-eval as well")
    exports = verbs.add_parser("export", help="adapters as a PEFT folder, the critic beside them")
    exports.add_argument("overrides", nargs="+", help="run=PATH|latest checkpoint=last|best|N trainer=cpu")
    for reader in (forgets, exports):
        reader.add_argument("--trust", metavar="RUN", help="as for agentlab eval")
    exports.add_argument("--to", type=Path, required=True, metavar="FOLDER")
    given = options.parse_args()
    try:
        if given.verb == "lint":
            _lint(given.overrides, given.episodes)
        elif given.verb == "forgetting":
            policy = _trained(given.overrides, given.trust).policy
            numbers = forgetting(policy) | (harness(policy, given.harness) if given.harness else {})
            print_table(("metric", "value"), [(name, f"{value:.4g}") for name, value in numbers.items()])
        else:
            _trained(given.overrides, given.trust).save(given.to)
            print(f"wrote {given.to}")
    except (UserError, RunFailed) as fault:
        print(f"agentlab: {fault}", file=sys.stderr)
        sys.exit(2 if isinstance(fault, UserError) else 1)


def _lint(overrides: list[str], episodes: int) -> None:
    cfg = compose(overrides)
    if not (cfg.env and cfg.model):
        raise UserError("lint reads an environment's prompts with a model; name an experiment, as +exp=NAME")
    settings: Any = OmegaConf.to_container(cfg.env, resolve=True)
    del settings["num_envs"]
    questions = visited(instantiate(settings, worker=0, _convert_="all"), episodes)
    for finding in lint(instantiate(OmegaConf.to_container(cfg.model, resolve=True)), questions):
        print(f"\n{finding.question.prompt}")
        rows = zip(finding.question.candidates, *(finding.policies[mode] for mode in MODES), strict=True)
        table = [(phrase, *(f"{p:.3f}" for p in chances)) for phrase, *chances in rows]
        print_table(("action", *MODES), table, always_head=True)
        for remark in finding.remarks:
            print(f"  ! {remark}")


def _trained(overrides: list[str], trust: str | None) -> TwosomeAgent:
    """The agent of a run at a checkpoint."""
    own, rest = split(overrides)
    if "run" not in own or not all(override.startswith("trainer") for override in rest):
        raise UserError("name the run with run=latest or run=PATH, and nothing else but checkpoint= and trainer=")
    run = open_run(own, rest, trust)
    cfg = change(run.config, rest, like=run.manifest["command"][2:])  # a run of a GPU's may be read where there is none
    _, state = run.load_checkpoint(own.get("checkpoint", "last"))
    agent = instantiate(cfg.agent, policy=instantiate(OmegaConf.to_container(cfg.model, resolve=True)))
    if not isinstance(agent, TwosomeAgent):
        raise UserError(f"{run.path} trained {cfg.agent._target_}, which has no adapters; name a TWOSOME run")
    agent.setup(instantiate(cfg.trainer))
    agent.load_state_dict(state["agent"])
    return agent


if __name__ == "__main__":
    main()
