"""The command line: one thin function a verb. Whatever is heavy is imported by the verb that needs it."""

import logging
import os
import shlex
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import Annotated, Any

import typer

from agentlab_runner.runners.errors import UserError
from agentlab_runner.runners.run.signals import ended
from agentlab_runner.runners.terminal.tables import Visible, visible
from agentlab_runner.runners.terminal.verbs import Json, Systems, say, verb

app = typer.Typer(
    cls=Systems,
    help="Run, compare and reproduce agent algorithms: one command, one config, one run folder.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
phone = typer.Typer(help="The simulated phone.", no_args_is_help=True)
app.add_typer(phone, name="phone")

NARROWEST = 20
"""Columns with which a table can still be read; if COLUMNS says fewer, the terminal itself is asked."""


def _complete(context: typer.Context, incomplete: str) -> list[str]:
    from agentlab_runner.runners.completion import complete

    claimed = [context.params.get("name") or ""] if context.info_name == "claim" else []
    return complete(context.info_name or "", [*claimed, *(context.params.get("overrides") or [])], incomplete)


def _complete_list(incomplete: str) -> list[str]:
    from agentlab_runner.runners.config.listing import groups

    return [name for name in ("experiments", *(f"{group}s" for group in groups())) if name.startswith(incomplete)]


def _complete_claim(incomplete: str) -> list[str]:
    from agentlab_runner.runners.config.listing import choices

    return [name for name in choices("claim") if name.startswith(incomplete)]


Overrides = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="OVERRIDES...",
        help="+exp=NAME, GROUP=CHOICE, KEY=VALUE, +NEW=VALUE, ~GONE (see: agentlab list, agentlab show)",
        autocompletion=_complete,
        show_default=False,
    ),
]
Name = Annotated[str | None, typer.Option("--name", help="End of the run folder's name.", show_default=False)]
Trust = Annotated[
    str | None,
    typer.Option(
        "--trust",
        metavar="RUN",
        help="Work with this run though it names programs that no config here names: it may do anything you can.",
        show_default=False,
    ),
]
Metric = Annotated[str, typer.Option("--metric", help="What is compared, and what a searching sweeper maximises.")]
Runs = Annotated[list[str], typer.Argument(metavar="RUN...", help="Run or sweep folders, run=latest or run=PATH.")]


def _work(function: Callable[[], tuple[Path, Any]], as_json: bool) -> None:
    """Run a long piece of work and print its end: the headline numbers and the run folder."""
    from agentlab_runner.runners.run.wandb_files import upload_line
    from agentlab_runner.runners.terminal.tables import (
        as_json_tables,
        print_json,
        print_metric_tables,
        print_table,
        scalars,
    )

    with redirect_stdout(sys.stderr if as_json else sys.stdout):
        path, metrics = function()
    numbers = scalars(metrics)
    if as_json:
        found = as_json_tables(metrics)
        print_json({"run": str(path), "metrics": numbers} | ({"tables": found} if found else {}))
    else:
        print_table(("metric", "value"), [(name, f"{value:.4g}") for name, value in numbers.items()])
        print_metric_tables(metrics)
        print(f"run: {visible(str(path))}", flush=True)
    if upload := upload_line(path):
        print(f"offline; send it to W&B with: {upload}", file=sys.stderr)


@app.command()
@verb
def train(overrides: Overrides = None, name: Name = None, json: Json = False) -> None:
    """Train an experiment in a new run folder: agentlab train +exp=coso_android."""
    from agentlab_runner.runners import launch

    _work(lambda: launch.train(overrides or [], name), json)


@app.command("eval")
@verb
def evaluate(overrides: Overrides = None, name: Name = None, trust: Trust = None, json: Json = False) -> None:
    """Evaluate a run on held-out tasks, or an untrained agent.

    run=PATH or run=latest names the run and checkpoint=last (default), best or N what to load; further overrides
    change its config for this evaluation. With +exp=NAME and no run, the untrained agent is evaluated.
    --name calls the evaluation, which otherwise is called by its checkpoint; one made under other overrides stays.
    """
    from agentlab_runner.runners import launch

    _work(lambda: launch.evaluate(overrides or [], name, trust), json)


@app.command()
@verb
def resume(overrides: Overrides = None, trust: Trust = None, json: Json = False) -> None:
    """Go on with a run that stopped: run=PATH or run=latest, from its last checkpoint or checkpoint=N."""
    from agentlab_runner.runners import launch

    _work(lambda: launch.resume(overrides or [], trust), json)


@app.command("list")
@verb
def list_(
    what: Annotated[
        str,
        typer.Argument(
            help="experiments, agents, envs, models, ... or a group as env/device", autocompletion=_complete_list
        ),
    ] = "experiments",
    json: Json = False,
) -> None:
    """List what can be chosen, with one line on each."""
    from agentlab_runner.runners.config.listing import catalogue
    from agentlab_runner.runners.terminal.tables import print_json, print_table

    found = catalogue(what)
    if json:
        print_json(found)
    else:
        print_table(("name", "what it is"), list(found.items()))


@app.command()
@verb
def show(
    overrides: Overrides = None,
    resolve: Annotated[
        bool, typer.Option("--resolve", help="Fill in interpolations; no value may be missing.")
    ] = False,
    json: Json = False,
) -> None:
    """Print the config that overrides make, its values checked."""
    from omegaconf import OmegaConf

    from agentlab_runner.runners.config.compose import check_draft, compose, draft
    from agentlab_runner.runners.config.validate import take_schemas
    from agentlab_runner.runners.terminal.tables import print_json, print_yaml

    cfg = (compose if resolve else draft)(overrides or [])
    check_draft(cfg, overrides or [])
    take_schemas(cfg)
    if json:
        print_json(OmegaConf.to_container(cfg))
    else:
        print_yaml(OmegaConf.to_yaml(cfg))


@app.command()
@verb
def sweep(
    overrides: Overrides = None,
    name: Annotated[str | None, typer.Option("--name", help="Name of the sweep's folder.", show_default=False)] = None,
    metric: Metric = "eval/success",
    fail_fast: Annotated[bool, typer.Option("--fail-fast", help="Stop at the first job that fails.")] = False,
) -> None:
    """Run every combination of the values given: agentlab sweep +exp=NAME seed=0,1,2 agent.entropy=none,causal.

    The same command again runs only what is missing or failed. hydra/launcher=joblib|ray|submitit chooses where
    jobs run, hydra/sweeper=optuna in which order.
    """
    from agentlab_runner.runners.sweep.sweep import sweep

    raise typer.Exit(sweep(overrides or [], name=name, metric=metric, fail_fast=fail_fast))


@app.command()
@verb
def claim(
    name: Annotated[
        str, typer.Argument(help="A published claim (see: agentlab list claims).", autocompletion=_complete_claim)
    ],
    overrides: Overrides = None,
) -> None:
    """Rerun a published comparison at laptop scale and print supported, contradicted or undecided.

    The same command again runs only what is missing or failed. Overrides change every run; claim.seeds=[0,1,2] and the
    like change the claim, and hydra/launcher=joblib runs several jobs at once.
    """
    from agentlab_runner.runners.claim.claim import claim

    raise typer.Exit(claim(name, overrides or []))


@app.command()
@verb
def compare(
    runs: Runs,
    metric: Annotated[str | None, typer.Option("--metric", help="The one to compare.", show_default="eval/*")] = None,
    plot: Annotated[Path | None, typer.Option("--plot", help="A PNG to draw the curves into.")] = None,
    json: Json = False,
) -> None:
    """Put runs side by side: their numbers, and where their configs differ."""
    from agentlab_runner.runners import launch
    from agentlab_runner.runners.sweep.compare import compare
    from agentlab_runner.runners.terminal.tables import print_json, print_table

    comparison = compare(launch.run_folders(runs), metric)
    if plot:
        comparison.plot(plot)
    if json:
        print_json(comparison.as_dict())
    else:
        print_table(comparison.header(), comparison.rows(), always_head=True)


@app.command()
@verb
def report(
    runs: Runs,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The file to write.", show_default="report-RUN.html, numbered")
    ] = None,
) -> None:
    """Write one self-contained HTML page: curves, evaluations, configs and recorded episodes."""
    from agentlab_runner.runners import launch
    from agentlab_runner.runners.report import report

    print(visible(str(report(launch.run_folders(runs), out))))


@app.command()
@verb
def doctor(
    online: Annotated[bool, typer.Option("--online", help="Also ask whether the model hub answers.")] = False,
    json: Json = False,
) -> None:
    """Show what this machine has and which experiments can run on it."""
    from dataclasses import asdict

    from agentlab_runner.runners.doctor import examine, experiments
    from agentlab_runner.runners.terminal.tables import print_json, print_table

    checks, able = examine(online), dict(experiments())
    if json:
        print_json({"machine": [asdict(check) for check in checks], "experiments": able})
        return
    print_table(("machine", "state", "detail", "what to do"), [(c.name, c.state, c.detail, c.fix) for c in checks])
    print()
    print_table(
        ("experiment", "can run here", "because"),
        [(name, "no" if problems else "yes", "; ".join(problems)) for name, problems in able.items()],
    )


@app.command()
@verb
def check(
    overrides: Overrides = None,
    episodes: Annotated[int, typer.Option("--episodes", help="Played by each player that knows nothing.")] = 8,
    only: Annotated[
        str | None, typer.Option("--only", metavar="env|agent", help="One of the two.", show_default=False)
    ] = None,
    json: Json = False,
) -> None:
    """Check whether results in an environment, or of an agent, can be believed: agentlab check env=NAME | +exp=NAME.

    Everything promised in docs/adding_an_env.md and docs/adding_an_agent.md is tried and told of in a line. The exit
    code is 1 if something does not hold.
    """
    from dataclasses import asdict

    from agentlab_runner.runners.check.check import check as checked
    from agentlab_runner.runners.terminal.tables import print_json, print_table

    with redirect_stdout(sys.stderr):
        findings = checked(overrides or [], episodes=episodes, only=only)
    from agentlab_runner.runners.check.finding import held

    if json:
        print_json({"held": held(findings), "checks": [asdict(finding) for finding in findings]})
    else:
        rows = [(one.part, one.check, one.state, one.said) for one in findings]
        print_table(("of", "check", "state", "what was seen, or what to mend"), rows)
    raise typer.Exit(0 if held(findings) else 1)


@app.command("import")
@verb
def import_(
    kind: Annotated[str, typer.Argument(help="What wrote the file: digirl or spc")],
    file: Annotated[Path, typer.Argument(help="The YAML file of a released experiment.")],
    exp: Annotated[bool, typer.Option("--exp", help="Print an experiment file instead of a command line.")] = False,
) -> None:
    """Translate a released config into the command line that runs the same here."""
    from agentlab_runner.runners import launch
    from agentlab_runner.runners.terminal.tables import print_yaml

    overrides = launch.translate(kind, file)
    if exp:
        print_yaml(launch.as_experiment(overrides, f"Imported from {file.name}"))
    else:
        print(shlex.join(["agentlab", "train", *overrides]))


@phone.command()
@verb
def serve(
    settings: Annotated[
        list[str] | None,
        typer.Argument(metavar="KEY=VALUE...", help="Settings of conf/phone/sim.yaml, as phones=2 port=5038."),
    ] = None,
) -> None:
    """Show simulated phones to every adb client of this machine, until Ctrl-C."""
    from agentlab_runner.runners import launch

    launch.call("phone/sim", settings or [])


def main() -> None:
    """Entry point of the `agentlab` script and of `python -m agentlab_runner.runners`."""
    _open_streams()
    if os.environ.get("COLUMNS", "").isdecimal() and int(os.environ["COLUMNS"]) < NARROWEST:
        del os.environ["COLUMNS"]
    assert logging.lastResort is not None
    logging.lastResort.setFormatter(Visible())
    if os.environ.get("_AGENTLAB_COMPLETE") == "complete_bash":
        from agentlab_runner.runners.completion import bash_words

        with bash_words():
            app(prog_name="agentlab")
    code: Any
    try:
        code = app(prog_name="agentlab")
    except UserError as fault:  # of looking for the verb, before there is one to tell it
        say(fault)
        code = 2
    except SystemExit as end:
        code = end.code
    ended(code if isinstance(code, int) else 0)
    sys.exit(code)


def _open_streams() -> None:
    """What was closed (`>&-`) leads nowhere: else the next file that is opened takes its place, and is printed into."""
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, mode, closefd=False))  # noqa: SIM115 - it stays open
