"""The command line as a user meets it: every verb in a process of its own, over an experiment that only counts."""

import json
import os
import pty
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from tests.conftest import Result, agentlab, environment

CONF = str(Path(__file__).parent / "conf")


@pytest.fixture
def lab(cli, cli_env):
    """`agentlab` with the configs of these tests beside its own."""
    cli_env["AGENTLAB_CONF"] = CONF
    return cli


@pytest.fixture(scope="module")
def training(tmp_path_factory) -> tuple[Path, Result]:
    """A run of three iterations, trained once."""
    folder = tmp_path_factory.mktemp("trained")
    command = ("train", "exp=counting", "agent.lr=0.5", "--name", "first", "--json")
    return folder, agentlab(*command, cwd=folder, env=environment() | {"AGENTLAB_CONF": CONF})


@pytest.fixture
def trained(training, tmp_path) -> Path:
    """A copy of that run for one test."""
    shutil.copytree(training[0] / "runs", tmp_path / "runs")
    return only_run(tmp_path)


def only_run(folder: Path) -> Path:
    (run,) = (folder / "runs").iterdir()
    return run


def manifest(run: Path) -> dict[str, str]:
    return json.loads((run / "manifest.json").read_text())


def test_train_leaves_a_run_folder(training):
    folder, result = training
    assert result.exit_code == 0, result.stderr
    run = only_run(folder)
    assert run.name.endswith("_first")
    assert yaml.safe_load((run / "config.yaml").read_text())["agent"]["same_lr"] == 0.5
    assert manifest(run)["command"] == ["agentlab", "train", "exp=counting", "agent.lr=0.5"]


def test_json_is_one_object_and_progress_goes_elsewhere(training):
    folder, result = training
    metrics = {"eval/success": 0.5, "count": 3.0}
    assert json.loads(result.stdout) == {"run": f"runs/{only_run(folder).name}", "metrics": metrics}
    assert "counted 3" in result.stderr


def test_eval_of_a_run_writes_into_it_and_leaves_it_finished(lab, trained):
    result = lab("eval", "run=latest", "checkpoint=best", "eval.episodes=7", "--json")
    assert json.loads(result.stdout)["metrics"] == {"eval/success": 0.25, "count": 1.0, "episodes": 7.0}
    said = json.loads((trained / "eval/count_1.json").read_text())
    assert (said["count"], said["step"]) == (1, 3)
    assert yaml.safe_load((trained / "config.yaml").read_text())["eval"]["episodes"] == 32
    assert manifest(trained)["status"] == "finished"
    broken = lab("eval", f"run={trained.name}", "eval.episodes=13")
    assert broken.exit_code == 1
    assert f"thirteen episodes (traceback: runs/{trained.name}/eval/error.txt)" in broken.stderr
    assert "thirteen episodes" in (trained / "eval/error.txt").read_text()


def test_an_evaluation_made_otherwise_replaces_none(lab, trained):
    def made():
        return {
            file.stem: json.loads(file.read_text())["overrides"] for file in (trained / "eval").glob("*.json")
        }

    for _ in range(2):
        assert lab("eval", "run=latest", "checkpoint=3", "logger=none").exit_code == 0
    assert (kept := made()) == {"count_3": []}
    assert lab("eval", "run=latest", "checkpoint=3", "eval.episodes=7", "--name", "short").exit_code == 0
    for _ in range(2):
        assert lab("eval", "run=latest", "checkpoint=3", "eval.episodes=8").exit_code == 0
    assert made() == kept | {"short": ["eval.episodes=7"], "count_3-2": ["eval.episodes=8"]}


def test_an_offline_run_ends_with_the_line_that_uploads_it(lab, tmp_path):
    trained = lab("train", "+exp=counting", "logger=wandb")
    run = f"runs/{only_run(tmp_path).name}"
    line = f"offline; send it to W&B with: wandb sync {run}/wandb/offline-run-*\n"
    assert trained.stderr == line
    assert trained.stdout.endswith(f"run: {run}\n")
    evaluated = lab("eval", "run=latest", "--json")
    assert evaluated.stderr == line
    assert json.loads(evaluated.stdout)["run"] == run
    assert len(list(tmp_path.glob(f"{run}/wandb/offline-run-*"))) == 2
    assert lab("resume", "run=latest", "logger=none").stderr.endswith(line), "it still waits"
    assert lab("train", "+exp=counting", "--name", "plain").stderr == ""


def test_report_and_compare_take_run_as_the_other_verbs_do(lab, trained, tmp_path):
    assert lab("report", "run=latest").stdout == f"report-{trained.name}.html\n"
    assert lab("report", f"run={trained.name}").stdout == f"report-{trained.name}-2.html\n"
    assert lab("report", str(trained), "-o", "mine.html").stdout == "mine.html\n"
    assert lab("compare", "run=latest", "--json").stdout == lab("compare", f"runs/{trained.name}", "--json").stdout
    nobody = lab("report", "run=latest", "runs_dir=nowhere")
    assert nobody.exit_code == 2
    assert "there is no run in nowhere" in nobody.stderr


def test_eval_without_a_run_evaluates_the_untrained_agent_in_a_new_folder(lab, tmp_path):
    result = lab("eval", "+exp=counting", "--json")
    assert json.loads(result.stdout)["metrics"]["count"] == 0
    assert (only_run(tmp_path) / "eval/count_0.json").exists()


def test_resume_goes_back_to_a_checkpoint_and_on_from_there(lab, trained):
    resumed = lab("resume", f"run={trained}", "checkpoint=2", "total_iterations=5")
    assert resumed.stdout.splitlines()[:3] == ["counted 3", "counted 4", "counted 5"]
    assert resumed.stdout.splitlines()[-3:] == ["eval/success  0.5", "count         5", f"run: {trained}"]
    other = lab("resume", "run=latest", "agent.lr=0.7")
    assert other.exit_code == 2
    assert "agent.lr" in other.stderr
    assert manifest(trained)["status"] == "finished"


def test_a_failed_run_says_why_in_a_sentence_and_starts_again_without_a_checkpoint(lab, tmp_path):
    failed = lab("train", "+exp=counting", "fail_at=1")
    run = only_run(tmp_path)
    assert failed.exit_code == 1
    assert failed.stderr == (
        f"agentlab: the run failed: RuntimeError: the counter broke (traceback: runs/{run.name}/error.txt)\n"
    )
    assert manifest(run)["status"] == "failed"
    latest = lab("resume", "run=latest")
    assert latest.exit_code == 2
    assert "every run in runs failed before it had begun" in latest.stderr
    assert latest.stderr.endswith(f"to start one again name it: run=runs/{run.name}\n")
    again = lab("resume", f"run={run.name}", "--debug")  # there is no checkpoint, so it begins again, and fails again
    assert again.exit_code == 1
    assert "Traceback (most recent call last)" in again.stderr


def test_what_a_part_refuses_while_it_is_built_is_bad_input_and_leaves_no_folder(lab, tmp_path):
    result = lab("train", "+exp=counting", "agent.gamma=1")
    assert result.exit_code == 2
    assert result.stderr == "agentlab: agent.gamma is 1, but this horizon has no end; choose a smaller one\n"
    assert not (tmp_path / "runs").exists()
    named = lab("train", "+exp=team", "env._target_=tests.runners.toy.Gues")
    sentence = "env is built from 'tests.runners.toy.Gues', but tests.runners.toy has no 'Gues'; did you mean"
    assert (named.exit_code, named.stderr.count("\n")) == (2, 1)
    assert sentence in named.stderr
    assert not (tmp_path / "runs").exists()
    late = lab("train", "+exp=team", "+env.nothing=1")  # known once environments are made
    assert late.exit_code == 2
    assert "'nothing'" in late.stderr
    assert not list((tmp_path / "runs").iterdir())


def test_what_a_constructor_raises_ends_the_run_with_its_own_words(lab, tmp_path):
    result = lab("train", "+exp=team", "env._target_=tests.runners.toy.Shut")
    assert result.exit_code == 1
    run = only_run(tmp_path)
    said = f"the run failed: RuntimeError: the simulator did not start (traceback: runs/{run.name}/error.txt)"
    assert said in result.stderr


def test_an_environment_that_ends_the_program_fails_the_run(lab, tmp_path):
    result = lab("train", "+exp=team", "env._target_=tests.runners.toy.Closed")
    assert result.exit_code == 1
    assert "agentlab: the run failed: SystemExit" in result.stderr
    assert manifest(only_run(tmp_path))["status"] == "failed"


def test_latest_leaves_out_a_run_that_failed_before_it_had_begun(lab, trained, tmp_path):
    assert lab("train", "+exp=counting", "fail_at=1").exit_code == 1
    assert len(list((tmp_path / "runs").iterdir())) == 2
    assert json.loads(lab("eval", "run=latest", "--json").stdout)["run"] == f"runs/{trained.name}"


def test_a_run_that_cannot_go_on_here_stays_as_it_was(lab, tmp_path):
    (tmp_path / "conf/env").mkdir(parents=True)
    (tmp_path / "conf/env/own.yaml").write_text("_target_: own.Own\nnum_envs: 3\nsplit: train\n")
    (tmp_path / "own.py").write_text("from tests.runners.toy import Guess\n\n\nclass Own(Guess):\n    pass\n")
    assert lab("train", "+exp=team", "env._target_=own.Own", "total_iterations=1").exit_code == 0
    run = only_run(tmp_path)
    (tmp_path / "own.py").unlink()
    refused = lab("resume", "run=latest", "total_iterations=2")
    assert refused.exit_code == 2
    assert "there is no module 'own'" in refused.stderr
    assert "did you mean" not in refused.stderr
    assert manifest(run)["status"] == "finished"
    assert not (run / "error.txt").exists()


def test_a_run_keeps_its_experiment(lab, trained):
    for verb in ("resume", "eval"):
        said = lab(verb, "run=latest", "+exp=counting")
        assert said.exit_code == 2
        assert "a run keeps its experiment; change single values by KEY=VALUE, or start a new run" in said.stderr


def test_a_run_is_resumed_with_other_tags_and_notes(lab, trained):
    assert lab("resume", "run=latest", "total_iterations=4", "tags=[good,b]", "notes=looks fine").exit_code == 0
    found = json.loads((trained / "manifest.json").read_text())
    assert (found["tags"], found["notes"]) == (["good", "b"], "looks fine")
    assert yaml.safe_load((trained / "config.yaml").read_text())["tags"] == ["good", "b"]
    assert "good, b" in lab("compare", str(trained)).stdout
    refused = lab("train", "+exp=counting", "tags=['']")
    assert 'tags.0 is "", but must be text of at least 1 character' in refused.stderr


def test_a_name_that_is_no_bare_folder_name_is_refused_by_every_verb(lab, tmp_path):
    for verb, name in (("train", "../x"), ("train", ""), ("sweep", "../.."), ("sweep", "/tmp/x"), ("eval", "a b")):
        result = lab(verb, "+exp=counting", f"--name={name}")
        assert result.exit_code == 2
        assert "cannot be the name of a folder here" in result.stderr
    assert not any(tmp_path.iterdir())


def test_ctrl_c_keeps_the_run_and_resume_finishes_it(lab, cli_env, tmp_path):
    command = [sys.executable, "-m", "agentlab_runner.runners", "train", "+exp=counting"]
    command += ["total_iterations=4", "hold_at=2"]
    process = subprocess.Popen(
        command, cwd=tmp_path, env=cli_env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    while "counted 2" not in process.stdout.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate()
    run = only_run(tmp_path)
    assert process.returncode == 130
    assert stderr.endswith(f"agentlab: interrupted; go on with: agentlab resume run=runs/{run.name}\n")
    assert manifest(run)["status"] == "interrupted"
    assert lab("resume", "run=latest").exit_code == 0
    steps = [json.loads(line)["step"] for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert steps == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["train", "+exp=countin"], "conf has no experiment 'countin'; did you mean counting? (see: agentlab list)"),
        (["train"], "there is nothing to run: the config has no agent and no env; start from an experiment with +exp="),
        (["train", "agent=toy"], "the config has no env"),
        (["train", "+exp=team", "trainer=null"], "the config has no trainer; add trainer=cpu"),
        (["train", "+exp=team", "~env.num_envs"], "env.num_envs is None, but must be a count"),
        (["train", "+exp=team", "trainer=gpu"], "trainer.device=cuda needs a CUDA GPU"),
        (["train", "+exp=greedy"], "this experiment requires "),
        (["train", "+exp="], "exp is given no choice; write +exp=NAME (see: agentlab list)"),
        (["train", "+exp=null"], "exp is given no choice"),
        (["train", "+exp=counting", "agent="], "agent is given no choice; write agent=NAME, or agent=null for none"),
        (["train", "counting"], "'counting' is not an override; did you mean +exp=counting?"),
        (["eval", "latest"], "did you mean run=latest?"),
        (["train", "+exp=counting", "callbacks=[{lr:1}]"], "callbacks is refused: each names what makes it"),
        (["train", "+exp=counting", "--conf-dir", "nowhere"], "nowhere is not a folder"),
        (["eval"], "nothing to evaluate; name a run with run=latest or run=PATH, or an experiment with +exp=NAME"),
        (["eval", "checkpoint=best"], "checkpoint= belongs to a run"),
        (["eval", "run=latest"], "there is no run in runs"),
        (["eval", "run=nowhere"], "nowhere is not a run folder"),
        (["resume"], "which run is to go on?"),
        (["phone", "serve", "prt=1"], "conf has no key 'prt'; did you mean 'port'?"),
        (["phone", "serve", "debug=1"], "conf has no key 'debug' (see: conf/phone/sim.yaml)"),
        (["sweep"], "there is nothing to run: the config has no agent and no env"),
        (["sweep", "seed=0,1"], "there is nothing to run"),
        (["sweep", "+exp=counting", "tags=[a,b],[c]"], "tags=[a,b],[c] varies what changes no number of a run"),
        (["sweep", "+exp=counting", "experiment._target_=nosuch.Thing"], "experiment is built from 'nosuch.Thing'"),
        (["phone", "serve", "phones=0"], "phones is 0, but must be at least 1"),
        (["import", "tyo", "x.yaml"], "nothing imports 'tyo'; did you mean toy?"),
        (["trian"], "has no command 'trian'; did you mean train?"),
        (["train", "+exp=counting", "name=my run"], "'name' is no key of a config; did you mean --name 'my run'?"),
        (["train", "+exp=counting", "+name=x"], "did you mean --name x?"),
        (["sweep", "+exp=counting", "seed=0,1", "fail_fast=true"], "did you mean --fail-fast?"),
        (["sweep", "+exp=counting", "seed=0,1", "metric=loss"], "did you mean --metric loss?"),
        (["eval", "+exp=counting", "conf_dir=mine"], "did you mean --conf-dir mine?"),
        (["show", "json=true"], "did you mean --json?"),
        (["report", "out=page.html"], "did you mean --out page.html?"),
        (["compare", "nothing=1"], "nothing=1 is no folder; name runs by their folders"),
        (["show", "+exp=counting", "name=x"], "conf has no key 'name'"),
        (["show", "+exp=counting", "agent.gamma=-1"], "agent.gamma is -1, but must be at least 0 and at most 1"),
        (["show", "+exp=counting", "agent=open", "agent.gamma=-1"], "agent.gamma is -1"),
        (["show", "+exp=counting", "agent.lr=${sede}"], "agent.lr refers to 'sede'"),
    ],
)
def test_bad_input_ends_with_2_and_one_sentence(lab, tmp_path, arguments, sentence):
    result = lab(*arguments)
    assert result.exit_code == 2
    assert sentence in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "runs").exists()
    assert not (tmp_path / "sweeps").exists()


def test_list_and_show_say_what_there_is(lab):
    listed = json.loads(lab("list", "--json").stdout)
    assert listed["counting"] == "Counts to total_iterations; what the runner's own tests train"
    assert lab("list", "trainers").stdout.split()[0] == "cpu"
    shown = yaml.safe_load(lab("show", "+exp=counting").stdout)
    assert shown["agent"]["same_lr"] == "${agent.lr}"
    assert "_schema_" not in shown
    assert json.loads(lab("show", "+exp=counting", "--resolve", "--json").stdout)["agent"]["same_lr"] == 0.1
    assert yaml.safe_load(lab("show", "+exp=counting", "agent=open").stdout)["agent"]["lr"] == "???"


def test_own_configs_are_found_in_conf_dir_and_in_the_current_folder(cli, tmp_path):
    assert "counting" not in cli("list").stdout
    assert "counting" in cli("list", "--conf-dir", CONF).stdout
    (tmp_path / "conf/exp").mkdir(parents=True)
    (tmp_path / "conf/exp/mine.yaml").write_text("# My own\n# @package _global_\ntotal_iterations: 7\n")
    assert "mine  " in cli("list").stdout
    assert "total_iterations: 7\n" in cli("show", "+exp=mine").stdout


def test_a_released_config_becomes_a_command_line_or_an_experiment(lab, tmp_path):
    (tmp_path / "released.yaml").write_text("gamma: 0.25\nentropy: none\n")
    line = lab("import", "toy", "released.yaml").stdout
    assert line == "agentlab train +exp=counting agent=toy agent.gamma=0.25 agent.entropy=none\n"
    (tmp_path / "wrong.yaml").write_text("gamma: 7\n")
    assert "agent.gamma is 7" in lab("import", "toy", "wrong.yaml").stderr
    (tmp_path / "conf/exp").mkdir(parents=True)
    (tmp_path / "conf/exp/released.yaml").write_text(lab("import", "toy", "released.yaml", "--exp").stdout)
    by_file = lab("show", "+exp=released", "--resolve", "--json")
    assert json.loads(by_file.stdout) == json.loads(lab("show", *line.split()[2:], "--resolve", "--json").stdout)


def test_phone_serve_shows_a_phone_until_ctrl_c(cli_env, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "agentlab_runner.runners", "phone", "serve", f"port={port}"],
        cwd=tmp_path, env=cli_env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert f"127.0.0.1:{port}" in process.stdout.readline()
    doctor = agentlab("doctor", "--json", cwd=tmp_path, env=cli_env | {"ANDROID_ADB_SERVER_PORT": str(port)})
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate()
    assert "Traceback" not in stderr
    (found,) = (check for check in json.loads(doctor.stdout)["machine"] if check["name"] == "adb devices")
    assert found["detail"] == "emulator-5554 (device)"


def test_a_terminal_gets_a_table_with_a_header(lab, cli_env, tmp_path):
    owner, terminal = pty.openpty()
    command = [sys.executable, "-m", "agentlab_runner.runners", "list"]
    subprocess.run(command, cwd=tmp_path, env=cli_env, stdout=terminal, check=True)
    os.close(terminal)
    assert b"what it is" in os.read(owner, 100_000)
    assert "what it is" not in lab("list").stdout


@pytest.mark.slow
def test_help_and_list_take_at_most_four_times_the_import_of_typer(cli_env, tmp_path):
    def best(*command: str) -> float:
        times = []
        for _ in range(5):
            began = time.perf_counter()
            subprocess.run([sys.executable, *command], cwd=tmp_path, env=cli_env, capture_output=True, check=True)
            times.append(time.perf_counter() - began)
        return min(times)

    typer = best("-c", "import typer")
    assert best("-m", "agentlab_runner.runners", "--help") < 4 * typer
    assert best("-m", "agentlab_runner.runners", "list") < 4 * typer


def imports(arguments, env, folder):
    """Every module that `agentlab ARGUMENTS` imports."""
    command = [sys.executable, "-X", "importtime", "-m", "agentlab_runner.runners", *arguments]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=True)
    return {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}


@pytest.mark.parametrize("arguments", [["--help"], ["list"], ["train", "--help"]])
def test_help_and_list_import_nothing_heavy(cli_env, tmp_path, arguments):
    heavy = {"hydra", "omegaconf", "torch", "numpy", "wandb", "transformers", "yaml"}
    assert not imports(arguments, cli_env, tmp_path) & heavy


def test_an_experiment_that_computes_without_torch_does_not_wait_for_its_import(cli_env, tmp_path):
    cli_env["AGENTLAB_CONF"] = CONF
    assert not imports(["train", "+exp=climb"], cli_env, tmp_path) & {"torch", "wandb", "transformers"}
