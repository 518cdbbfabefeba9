"""Data cleaning experiments as a user runs them: train, eval, sweep, compare, report, list, show, claim."""

import json
import re
from contextlib import chdir
from pathlib import Path

import pytest
from typer.testing import CliRunner

from agentlab_runner.data_cleaning.experiments.baselines import has_baran
from agentlab_runner.runners.cli import app
from agentlab_runner.runners.run.metrics_file import MetricsFile
from tests.conftest import Result, environment

SMALL = ("table.rows=800", "table.concepts=12", "logger=none")


@pytest.fixture
def lab(tmp_path):
    """`agentlab ARGS` in an empty folder and in this process; it must end with `code`."""

    def run(*args: str, code: int = 0) -> Result:
        with chdir(tmp_path):
            done = CliRunner().invoke(app, args, env=environment())
        assert done.exit_code == code, done.output
        return Result(done.exit_code, done.stdout, done.stderr)

    return run


def folder(root: Path) -> Path:
    [found] = (root / "runs").iterdir()
    return found


def test_eval_prints_scores_with_intervals_over_tables(lab, tmp_path):
    said = lab("eval", "+exp=ofd_clean", "clean.tables=4", "clean.err=0.1", *SMALL).stdout
    numbers = {name: float(value) for name, value in re.findall(r"^(\S+) +([\d.e+-]+)$", said, re.MULTILINE)}
    for name in ("precision", "recall", "f1"):
        low, mean, high = (numbers[f"eval/{name}{end}"] for end in ("_low", "", "_high"))
        assert 0.9 < low <= mean <= high <= 1
    run = folder(tmp_path)
    told = json.loads((run / "clean.json").read_text())
    assert len(told["tables"]) == 4
    assert told["mean"]["eval/f1"] == pytest.approx(numbers["eval/f1"], abs=1e-3)
    assert {file.name for file in (run / "repair").iterdir()} >= {"report.html", "pareto.json", "repairs.parquet"}
    [line] = MetricsFile(run / "metrics.jsonl").read()
    assert line["eval/f1"] == told["mean"]["eval/f1"]
    assert json.loads((run / "manifest.json").read_text())["status"] == "finished"


def test_a_run_can_be_evaluated_again_compared_reported_and_resumed(lab, tmp_path):
    lab("train", "+exp=ofd_clean", "clean.tables=2", *SMALL, "--name", "one")
    before = MetricsFile(folder(tmp_path) / "metrics.jsonl").read()
    assert "eval/f1" in lab("eval", "run=latest", "clean.err=0.1").stdout
    assert MetricsFile(folder(tmp_path) / "metrics.jsonl").read() == before
    assert "eval/f1" in json.loads((folder(tmp_path) / "eval/again.json").read_text())
    lab("eval", "run=latest", "checkpoint=7", code=2)
    lab("train", "+exp=ofd_clean", "clean.tables=2", "clean.choose=0", *SMALL, "--name", "two")
    runs = [str(path) for path in sorted((tmp_path / "runs").iterdir())]
    assert re.search(r"^clean.choose +evidence +0$", lab("compare", *runs).stdout, re.MULTILINE)
    assert "eval/f1" in (tmp_path / lab("report", *runs).stdout.strip()).read_text("utf-8")
    lab("resume", "run=latest")


def test_sweeping_rates(lab, tmp_path):
    rates = ["clean.err=0.03,0.15", "clean.tables=1", *SMALL]
    lab("sweep", "+exp=ofd_clean", *rates, "--metric", "eval/f1", "--name", "s")
    assert len(list(tmp_path.glob("*/s*/jobs/*/manifest.json"))) == 2


@pytest.mark.parametrize(("overrides", "wanted"), [
    (["+exp=ofd_senses", "senses.counts=[2,3]", "table.spread=3", *SMALL], "accuracy/refined/senses3"),
    (["+exp=ofd_cleaners", "cleaners.err=[0.1]", "cleaners.inc=[0.1]", *SMALL], "f1/ofd/err10_inc10"),
    (["+exp=ofd_discover", "discover.threads=1", *SMALL], "eval/planted_found"),
    (["+exp=ofd_bench", "bench.engines=[fastofd,fastofd_synonym]", *SMALL], "cpu_seconds/fastofd_synonym"),
])  # fmt: skip
def test_every_experiment_runs(lab, overrides, wanted):
    assert re.search(rf"^{wanted} ", lab("train", *overrides).stdout, re.MULTILINE)


def test_baran_is_left_out_and_said_where_it_is_not_installed(lab, monkeypatch):
    monkeypatch.setattr("agentlab_runner.data_cleaning.experiments.experiment.has_baran", lambda: False)
    own = ("+exp=ofd_cleaners", "cleaners.err=[0.1]", "cleaners.inc=[0.1]", *SMALL)
    done = lab("train", *own, "cleaners.baran=20")
    assert "Baran is left out: raha is not installed (pip install raha)" in done.stderr
    assert "f1/ofd/err10_inc10" in done.stdout
    assert "baran/" not in done.stdout


def test_a_table_of_ones_own(lab, tmp_path):
    rows = ["CC,CTRY", *["US,United States"] * 9, *["US,USA"] * 3, "US,Untied States", *["FR,France"] * 5, "FR,Germany"]
    (tmp_path / "mine.csv").write_text("\n".join(rows) + "\n")
    mine = ("table=file", "table.path=mine.csv", "+ontology=countries", "ontology.column=CTRY", "logger=none")
    said = lab("train", "+exp=ofd_clean", *mine, "table.ofds=['CC -> CTRY']").stdout
    assert re.search(r"^changes +2$", said, re.MULTILINE)
    assert re.search(r"^verified +1$", said, re.MULTILINE)
    assert "Untied" in (folder(tmp_path) / "repair" / "report.html").read_text("utf-8")
    found = lab("train", "+exp=ofd_discover", "discover.kappa=0.8", *mine).stdout
    assert re.search(r"^eval/ofds +2$", found, re.MULTILINE)
    lab("train", "+exp=ofd_cleaners", *mine, code=2)


@pytest.mark.parametrize(("overrides", "said"), [
    (["clean.err=2"], "clean.err is 2, but must be at least 0 and at most 1"),
    (["clean.search=exakt"], "clean.search is \"exakt\", but must be 'auto', 'exact', 'fixed' or 'beam'"),
    (["clean.choise=1"], "conf has no key 'clean.choise'; did you mean 'clean.choose'"),
    (["table=contries"], "table has no choice 'contries'; did you mean countries?"),
    (["table=file"], "table.path has no value; add table.path=VALUE"),
    (["table=file", "table.path=none.csv"], "there is no file 'none.csv'"),
    (["clean.tau=0", "clean.max_additions=0"], "tau=0 cannot be met: with 0 additions still"),
    (["table.concepts=1000"], "concepts is 1000, but there are 249 countries"),
    (["agent=coso"], "agent is"),
])  # fmt: skip
def test_what_is_wrong_is_said_in_one_sentence(lab, overrides, said):
    fault = lab("train", "+exp=ofd_clean", "logger=none", *overrides, code=2).stderr
    assert said in fault
    assert len(fault.strip().splitlines()) == 1


def test_they_are_listed_and_shown(lab):
    listed = lab("list").stdout
    for name in ("ofd_clean", "ofd_discover", "ofd_bench", "ofd_cleaners", "ofd_senses"):
        assert name in listed
        assert lab("show", f"+exp={name}", "--resolve").stdout
    assert "ofdgen" in lab("list", "tables").stdout
    assert "icd10" in lab("list", "ontology").stdout
    assert "ofd_false_positives" in lab("list", "claims").stdout


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ofd_false_positives", "ofd_false_positives_small", "ofd_senses", "ofd_baran"])
def test_the_claims_come_to_a_verdict(lab, name):
    quick = ("claim.seeds=[0,1]", "table.rows=600", "table.concepts=12", "logger=none")
    said = lab("claim", name, *quick).stdout
    assert re.search("(supported|undecided|contradicted): ", said)
    assert "values are missing" not in said or (name == "ofd_baran" and not has_baran())
