"""Callbacks of one's own: told in order, kept by resuming, able to end a run, named when they fail."""

import re
from collections.abc import Mapping
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf

from agentlab_runner.runners.callbacks import Callback
from agentlab_runner.runners.errors import RunFailed, UserError
from agentlab_runner.runners.online.experiment import OnlineExperiment
from agentlab_runner.runners.run.folder import Run
from tests.conftest import ROOT
from tests.runners.online.test_online import config, numbers, train

TOLD: list[Any] = []


class Teller(Callback):
    """Notes what it is told, draws random numbers, and raises or ends the run where it is told to."""

    def __init__(self, stop: int = 0, stop_by_eval: int = -1, fail: str = "") -> None:
        self.stop, self.stop_by_eval, self.fail, self.iterations = stop, stop_by_eval, fail, 0

    def _note(self, hook: str, *what: Any) -> None:
        TOLD.append((hook, *what))
        torch.rand(3)
        if hook == self.fail:
            raise KeyError("nothing there")

    def on_start(self, run: Run) -> None:
        self._note("on_start", self.iterations)

    def on_iteration(self, run: Run, step: int, metrics: Mapping[str, Any]) -> bool:
        self.iterations += 1
        self._note("on_iteration", step, "toy/logit" in metrics)
        return step == self.stop

    def on_eval(self, run: Run, step: int, result: Mapping[str, Any]) -> bool:
        self._note("on_eval", step, "eval/success" in result)
        return step == self.stop_by_eval

    def on_end(self, run: Run, status: str) -> None:
        self._note("on_end", status, self.iterations)

    def state_dict(self) -> dict[str, Any]:
        return {"iterations": self.iterations}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.iterations = state["iterations"]


class Odd(Callback):
    def on_evals(self, run: Run) -> None: ...


def told(**settings: Any) -> Any:
    TOLD.clear()
    return config(total_iterations=3, callbacks=[{"_target_": f"{__name__}.Teller", **settings}])


def resume(cfg, path):
    with Run.open(path) as run:
        OnlineExperiment(cfg).train(run)
    return run


def test_hooks_come_in_order_and_change_nothing_of_what_is_trained(tmp_path):
    run = train(told(), tmp_path / "told")
    assert TOLD == [
        ("on_start", 0), ("on_eval", 0, True), ("on_iteration", 1, True), ("on_iteration", 2, True),
        ("on_eval", 2, True), ("on_iteration", 3, True), ("on_eval", 3, True), ("on_end", "finished", 3),
    ]  # fmt: skip
    assert numbers(run) == numbers(train(config(total_iterations=3), tmp_path / "alone"))


def test_a_resumed_run_goes_on_with_what_a_callback_knew(tmp_path):
    cfg = told()
    OmegaConf.update(cfg, "agent.crash_at", 3)
    with pytest.raises(RuntimeError, match="out of luck"):
        train(cfg, tmp_path / "run")
    assert TOLD[-1] == ("on_end", "failed", 2)
    run = resume(told(), tmp_path / "run")
    assert TOLD == [("on_start", 2), ("on_iteration", 3, True), ("on_eval", 3, True), ("on_end", "finished", 3)]
    assert numbers(run) == numbers(train(config(total_iterations=3), tmp_path / "alone"))


@pytest.mark.parametrize(("settings", "steps"), [({"stop": 1}, [0, 1]), ({"stop_by_eval": 2}, [0, 1, 2])])
def test_a_callback_may_end_the_run_which_is_then_evaluated_saved_and_stays_ended(tmp_path, settings, steps):
    run = train(told(**settings), tmp_path / "run")
    assert run.status == "finished"
    assert [line["step"] for line in numbers(run)] == steps
    assert "eval/success" in numbers(run)[-1]
    before = numbers(run)
    assert numbers(resume(told(**settings), tmp_path / "run")) == before
    assert list(TOLD) == [("on_start", steps[-1]), ("on_end", "finished", steps[-1])]


@pytest.mark.parametrize("hook", ["on_start", "on_iteration", "on_eval", "on_end"])
def test_a_callback_that_raises_fails_the_run_by_name(tmp_path, hook):
    with pytest.raises(RunFailed, match=rf"the callback {__name__}.Teller failed in {hook}: KeyError: 'nothing there'"):
        train(told(fail=hook), tmp_path / "run")
    assert Run.open(tmp_path / "run").status == "failed"
    assert "in _note" in (tmp_path / "run/error.txt").read_text()


def test_what_is_no_callback_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"callbacks\[0\] is tests.runners.toy.Gambler, which is no callback; inherit"):
        train(config(callbacks=[{"_target_": "tests.runners.toy.Gambler"}]), tmp_path / "a")
    with pytest.raises(UserError, match="has on_evals, which is no hook; did you mean on_eval"):
        train(config(callbacks=[{"_target_": f"{__name__}.Odd"}]), tmp_path / "b")

    with pytest.raises(UserError, match=r"Teller, which takes no 'stopp'; did you mean 'stop'\?"):
        train(told(stopp=1), tmp_path / "c")
    with pytest.raises(UserError, match=rf"has no 'Tellr'; did you mean {__name__}.Teller"):
        train(config(callbacks=[{"_target_": f"{__name__}.Tellr"}]), tmp_path / "d")


def test_the_one_of_the_page_runs_as_it_stands(cli, cli_env, tmp_path):
    page = (ROOT / "docs/callbacks.md").read_text()
    [code] = re.findall(r"^```python mine.py\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    [config] = re.findall(r"^```yaml conf/exp/patient.yaml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    [given] = re.findall(r"'(callbacks=.*)'$", page, re.MULTILINE)
    (tmp_path / "mine.py").write_text(code)
    (tmp_path / "conf/exp").mkdir(parents=True)
    (tmp_path / "conf/exp/patient.yaml").write_text(config)
    shown = cli("show", "+exp=patient", "--resolve").stdout
    assert "callbacks:\n- _target_: mine.Patience\n  patience: 2\n" in shown
    assert "_target_: agentlab_runner.agents.coso.agent.CosoAgent" in shown
    cli_env["AGENTLAB_CONF"] = str(ROOT / "tests/runners/conf")
    result = cli("train", "+exp=team", "eval.every=1", "total_iterations=9", "agent._target_=tests.runners.toy.Gambler",
                 "~agent.die_at", "~agent.hold_at", given)  # fmt: skip
    assert result.exit_code == 0, result.stderr
    [path] = (tmp_path / "runs").iterdir()
    run = Run.open(path)
    [kept] = run.load_checkpoint()[1]["callbacks"]
    scores = [line["eval/success"] for line in run.metrics() if "eval/success" in line]
    assert kept["best"] == max(scores)
    assert kept["since"] == 2 or len(scores) == 10
    assert cli("resume", "run=latest").exit_code == 0
    (tmp_path / "conf/exp/patient.yaml").unlink()
    assert cli("resume", "run=latest").exit_code == 0, "it was begun here"
    path = path.rename(path.with_name("received"))
    refused = cli("resume", "run=latest")
    assert refused.exit_code == 2
    assert "callbacks.0 built from mine.Patience, which no config here names" in refused.stderr
    assert cli("resume", "run=latest", "--trust", path.name).exit_code == 0
