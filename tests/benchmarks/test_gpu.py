"""The check for GPUs as a machine without one sees it: it runs, keeps to its time, and writes down what fails."""

import json
import sys

import pytest
import torch

from benchmarks import figures
from benchmarks.gpu import __main__ as gpu


def test_where_there_is_no_gpu_it_says_so(monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(gpu, "hardware", lambda: {"gpu": []})
    assert gpu.main([]) == 2
    assert "there is no CUDA GPU here; run it on a machine with one" in capsys.readouterr().err
    monkeypatch.setattr(gpu, "hardware", lambda: {"gpu": ["H100"]})
    assert gpu.main([]) == 2
    assert "H100 cannot be used by torch" in capsys.readouterr().err


def test_an_unknown_part_is_named(capsys):
    with pytest.raises(SystemExit) as stop:
        gpu.main(["equals"])
    assert stop.value.code == 2
    assert "no part equals; choose from equal, processes" in capsys.readouterr().err


HEAD = """
import json, os, sys, time
out = open(sys.argv[1], "w")
FIGURE = {"figure": "a", "measured": 2.0, "unit": "x", "bar": ">= 1", "details": {}}
def tell(**entry):
    print(json.dumps(entry), file=out, flush=True)
"""
PROGRAMS = {
    "good": "tell(device={'name': 'H100'}); tell(figure=FIGURE)",
    "bad": "tell(figure=FIGURE); out.write('{\"figu'); out.flush(); raise ValueError('a kernel')",
    "gone": "os.kill(os.getpid(), 9)",
    "stuck": "time.sleep(600)",
}


def test_what_fails_is_written_down_and_ends_nothing_else(tmp_path, monkeypatch):
    def command(part, file):
        return [sys.executable, "-c", HEAD + PROGRAMS[part], str(file)]

    needs = {"bad": 0.0, "gone": 0.0, "good": 0.0, "stuck": 0.0, "late": 9.0}
    result = gpu.run(list(needs), command, budget=10.0, needs=needs)
    assert [figure["figure"] for figure in result["figures"]] == ["a", "a"]
    assert [failure["part"] for failure in result["failures"]] == ["bad", "gone", "stuck"]
    bad, gone, stuck = (failure["why"] for failure in result["failures"])
    assert (bad[0], bad[-1]) == ("exit code 1", "ValueError: a kernel")
    assert gone == ["exit code -9"]
    assert "it was ended after the" in stuck[0]
    assert result["skipped"] == ["late: 0 of 10 s were left, and it wants 9"]
    assert result["device"]["name"] == "H100"

    (tmp_path / "gpu_check.json").write_text(json.dumps(result))
    monkeypatch.setattr(figures, "RESULTS", tmp_path)
    table = figures.markdown_table()
    assert "| gpu_check | a | 2 x | >= 1 | H100 |" in table
    assert "| gpu_check | bad: failed, ValueError: a kernel | - | - | H100 |" in table
    assert "| gpu_check | skipped: late: 0 of 10 s" in table


def test_some_parts_on_the_cpu(tmp_path, capfd):
    assert gpu.main(["weights", "processes", "--device", "cpu", "--quick", "--out", str(tmp_path)]) == 0
    result = json.loads((tmp_path / "gpu_check.json").read_text())
    assert not result["failures"]
    assert result["device"]["name"] == "CPU"
    assert {figure["figure"].split(":")[0] for figure in result["figures"]} == {"weights", "processes"}
    assert all(figures.reached(figure) for figure in result["figures"])
    assert "processes: ddp over gloo, gradient: 0" in capfd.readouterr().out


@pytest.mark.slow
def test_all_parts_on_the_cpu(tmp_path):
    given = ["--device", "cpu", "--quick", "--out", str(tmp_path), "--budget", "100000"]
    assert gpu.main(given) == 0
    result = json.loads((tmp_path / "gpu_check.json").read_text())
    assert {figure["figure"].split(":")[0] for figure in result["figures"]} == set(gpu.PARTS)
    assert result["skipped"] == ["equal: fp16 needs a GPU"]
    (resumed,) = (figure for figure in result["figures"] if "resumed" in figure["figure"])
    assert resumed["measured"] == 0.0
