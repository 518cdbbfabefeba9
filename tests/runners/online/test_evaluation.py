"""What evaluation episodes are summed up to."""

import json

import pytest

from agentlab_runner.runners.online.evaluation import headline, is_line, line_of, summarise, tables
from agentlab_runner.runners.types import Decision, Step, StopReason, Trajectory


def episode(*rewards: float, stop: StopReason = StopReason.SUCCESS, **last) -> Trajectory:
    infos = [{}] * (len(rewards) - 1) + [last]
    steps = tuple(Step({}, Decision(0), reward, info) for reward, info in zip(rewards, infos, strict=True))
    return Trajectory(steps, {}, stop, stop is StopReason.SUCCESS, seed=0, task="climb")


def test_mean_and_spread_are_over_the_episodes():
    summary = summarise([episode(1.0, 1.0), episode(0.0, 0.0, 0.0, 0.0, stop=StopReason.HORIZON)])
    found = {name: summary[name] for name in ("episodes", "success", "return", "return_std", "length")}
    assert found == {"episodes": 2, "success": 0.5, "return": 1.0, "return_std": 1.0, "length": 3.0}
    assert headline(summary, "eval")["eval/task/climb"] == 0.5


def test_a_return_is_what_the_environment_calls_it():
    discounted = episode(1.0, 1.0, episode_return=1.9)
    assert discounted.total_reward == 2.0
    assert summarise([discounted])["return"] == pytest.approx(1.9)


def test_lost_episodes_do_not_count():
    summary = summarise([episode(1.0, stop=StopReason.DEVICE_LOST)])
    assert summary["episodes"] == 0
    assert summary["return"] is summary["return_std"] is None
    assert headline(summary, "eval") == {"eval/device_lost": 1.0}


def measured(task: str, **measures: float) -> Trajectory:
    return Trajectory((Step({}, Decision(0), 0.0),), {}, StopReason.FAILURE, False, 0, task, measures=measures)


def test_measures_are_averaged_by_episode_and_by_task_whatever_their_names():
    of_a = [measured("a", f1=value) for value in (1.0, 0.0, 0.5)]
    summary = summarise([*of_a, measured("b", f1=0.1, x=2.0)])
    assert summary["measures"] == {"f1": pytest.approx(0.4), "x": 2.0}
    assert summary["macro"] == {"success": 0.0, "f1": pytest.approx(0.3), "x": 2.0}
    assert summary["tasks"]["b"]["measures"] == {"f1": 0.1, "x": 2.0}
    metrics = headline(summary, "eval")
    assert (metrics["eval/measures/f1"], metrics["eval/macro/f1"]) == (pytest.approx(0.4), pytest.approx(0.3))


def test_measures_that_are_means_of_decisions_are_averaged_over_all_of_them_too():
    played = [measured("a", right=1.0, steps=2.0), measured("b", right=0.25, steps=8.0), measured("c", x=1.0)]
    summary = summarise(played)
    assert summary["micro"] == {"right": {"mean": pytest.approx(0.4), "sum": pytest.approx(4.0), "steps": 10.0}}
    assert headline(summary, "eval")["eval/micro/right"] == pytest.approx(0.4)
    assert tables(summary)["by step"].rows == (("right", 0.625, pytest.approx(0.4), pytest.approx(4.0), 10.0),)
    assert "by step" not in tables(summarise([measured("a", x=1.0)]))


def asked(stop: StopReason, reason: str = "") -> Trajectory:
    call = {"module": "act", "messages": [], "reply": "", "tokens_in": 10, "tokens_out": 2, "seconds": 1.5, "cost": 0.5,
            "cached": False, "model": "m-1"}  # fmt: skip
    again = call | {"cached": True, "seconds": 0.0, "cost": 0.0}
    step = Step({}, Decision(0, {"calls": [call, again]}), 0.0)
    return Trajectory((step, step), {}, stop, stop is StopReason.SUCCESS, 3, "ask", reason=reason)


def test_what_models_were_asked_stands_in_lines_means_bill_and_tables():
    played = [asked(StopReason.SUCCESS), asked(StopReason.GAVE_UP, "lost"), asked(StopReason.ERROR, "the judge broke")]
    summary = summarise(played)
    assert summary["usage"] == {
        "calls": 4.0, "tokens_in": 40.0, "tokens_out": 8.0, "cached": 0.5, "cost": 1.0, "seconds": 3.0,
    }  # fmt: skip
    assert summary["bill"]["cost"] == 3.0  # what broke was paid, too
    assert (summary["gave_up"], summary["models"], summary["error"]) == ({"lost": 1}, {"m-1": 12}, 1)
    line = summary["played"][1]
    assert (line["number"], line["stop"], line["reason"], line["tokens_in"]) == (1, "gave_up", "lost", 40)
    assert is_line(json.loads(json.dumps(line)))
    assert not is_line({**line, "cost": float("nan")})
    by_task = tables(summary)["by task"]
    assert by_task.columns == (
        "task", "episodes", "success [95 %]", "return", "length", "calls", "tokens in", "tokens out", "cached", "cost",
        "seconds",
    )  # fmt: skip
    assert by_task.rows[0][:3] == ("all", 2, "0.5 [0.09, 0.91]")
    assert tables(summary)["ends"].rows == (("success", "", 1), ("error", "", 1), ("gave_up", "lost", 1))
    assert tables(summary)["models"].rows == (("m-1", 12),)


def test_where_no_model_is_asked_nothing_is_said_of_it():
    summary = summarise([episode(1.0)])
    assert summary["usage"] == summary["bill"] == summary["models"] == {}
    assert "eval/calls" not in headline(summary, "eval")
    assert line_of(0, episode(1.0))["calls"] == 0


def played_on(**conditions: str) -> Trajectory:
    return Trajectory((Step({}, Decision(0), 0.0),), {}, StopReason.FAILURE, False, 0, "a", conditions=conditions)


def test_tables_begin_with_what_the_episodes_were_played_under():
    summary = summarise([played_on(pages="1.1", browser="155"), played_on(pages="1.1", browser="156"), episode(1.0)])
    assert summary["conditions"] == {"pages": "1.1", "browser": "155 and 156"}
    first, *_ = tables(summary)
    assert (first, tables(summary)[first].columns) == ("conditions", ("pages", "browser"))
    assert tables(summary)[first].rows == (("1.1", "155 and 156"),)
    line = line_of(0, played_on(pages="1.1"))
    assert is_line(line)
    assert not is_line({**line, "conditions": {"pages": 1}})
    older = {name: value for name, value in line.items() if name != "conditions"}
    assert is_line(older)
    assert "conditions" not in tables(summarise([episode(1.0)]))
