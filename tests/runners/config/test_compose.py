"""Composition: what overrides make of conf, and the sentence for every way to get them wrong."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from agentlab_runner.runners.config.compose import change, compose, draft, normalise
from agentlab_runner.runners.config.identity import config_hash
from agentlab_runner.runners.config.listing import catalogue, choices
from agentlab_runner.runners.config.suggest import nearest
from agentlab_runner.runners.config.validate import take_schemas, told
from agentlab_runner.runners.errors import UserError
from agentlab_runner.runners.sweep.hydra import hydra_config
from agentlab_runner.runners.sweep.plan import Plan
from tests.runners.fake_experiment import ScmSettings, ToySettings

CONF = Path(__file__).parents[1] / "conf"


@pytest.fixture(autouse=True)
def _own_conf(monkeypatch, tmp_path):
    monkeypatch.setenv("AGENTLAB_CONF", str(CONF))
    monkeypatch.chdir(tmp_path)


def refusal(*overrides: str) -> str:
    with pytest.raises(UserError) as caught:
        compose(overrides)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("exp", ["+exp=counting", "exp=counting", "++exp=counting"])
def test_an_experiment_is_merged_at_the_root(exp):
    cfg = compose([exp])
    assert (cfg.total_iterations, cfg.agent.same_lr, cfg.trainer) == (3, 0.1, None)
    assert "_schema_" not in str(cfg)


def test_overrides_of_every_kind_apply():
    cfg = compose(["+exp=counting", "agent.lr=0.2", "++agent.window=auto", "env=null", "+eval.env.split=test"])
    assert (cfg.agent.same_lr, cfg.agent.window, cfg.env, cfg.eval.env.split) == (0.2, "auto", None, "test")
    assert compose(["+exp=counting", "agent=open", "agent.lr=1"]).agent.scm.mode == "paper"
    assert compose(["+exp=counting", "~agent.same_lr"]).agent.get("same_lr") is None


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (["+exp=countin"], "conf has no experiment 'countin'; did you mean counting? (see: agentlab list)"),
        (["+exp=counting", "sede=1"], "no key 'sede'; did you mean 'seed'? (see: agentlab show +exp=counting)"),
        (["+exp=counting", "agent.gama=1"], "conf has no key 'agent.gama'; did you mean 'agent.gamma'?"),
        (["+exp=counting", "gama=1"], "did you mean 'agent.gamma'?"),
        (["+exp=counting", "eval.env={split: a}"], "a new key is added with +eval.env.split=VALUE"),
        (["+exp=counting", "~agent.gama"], "conf has no key 'agent.gama'; did you mean 'agent.gamma'?"),
        (["+exp=counting", "agent=toi"], "agent has no choice 'toi'; did you mean toy? (choices: "),
        (["+exp=counting", "+agent=toy"], "agent is chosen already; choose it once, with agent=CHOICE"),
        (["+exp=counting", "+exp=greedy"], "exp is chosen already"),
        (["+exp=counting", "+seed=1"], "'seed' exists already; change it with seed=VALUE, without the plus"),
        (["phone=sim"], "nothing here chooses phone yet"),
        (["seed"], "'seed' is not an override; write key=value"),
        (["+exp=counting", "notes=李明"], """blanks or other signs: 'notes="李明"')"""),
        (["+exp=counting", "notes=a#b"], """blanks or other signs: 'notes="a#b"')"""),
        (["+exp=counting", "notes=it's"], "is not an override; write key=value"),
        (["+exp=counting", "tags={a: b}"], "tags is a list; write tags=[...]"),
        (["+exp=counting", "callbacks={_target_: a.B}"], "callbacks is a list; write callbacks=[...]"),
        (["+exp=counting", "agent=[1]"], "agent has no choice '[1]'"),
        (["+exp=counting", "agent.scm=[1]"], "agent.scm is a group of keys; write agent.scm.KEY=VALUE"),
        (["=1"], "'=1' is not an override; write key=value"),
        (["~"], "'~' is not an override; write key=value"),
        (["notes=\udcff"], "'notes=\\udcff' is not UTF-8 text"),
        (["hydra.run.dir=x"], "'hydra.run.dir=x' is a setting of sweeps; give it to agentlab sweep or claim"),
        (["hydra/launcher=joblib"], "is a setting of sweeps"),
        (["+exp=counting", "agent.lr=[1"], "'agent.lr=[1' is not an override"),
        (["+exp=counting", "seed=0,1"], "try them all with agentlab sweep, or write one list as seed=[a,b]"),
        (["+exp=counting", "agent=open"], "agent.lr has no value; add agent.lr=VALUE"),
        (["+exp=counting", "agent.lr=${sede}"], "agent.lr refers to 'sede', which the config does not have; did"),
        (["+exp=counting", "agent.lr=${nope:1}"], "agent.lr cannot be resolved: Unsupported interpolation type nope"),
    ],
)  # fmt: skip
def test_a_wrong_override_is_told_in_one_sentence(overrides, sentence):
    assert sentence in refusal(*overrides)


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("agent.entropy=casual", "is \"casual\", but must be 'none', 'uniform' or 'causal'; did you mean causal?"),
        ("agent.gamma=2", "agent.gamma is 2, but must be at least 0 and at most 1"),
        ("agent.lr=0", "agent.lr is 0, but must be above 0 and at most 1"),
        ("agent.lr='1'", 'agent.lr is "1", but must be a number'),
        ("agent.window=big", "agent.window is \"big\", but must be an integer or 'auto'"),
        ("agent.scm.mode=papr", "agent.scm.mode is \"papr\", but must be 'exact' or 'paper'; did you mean paper?"),
        ("agent.scm=3", "agent.scm is 3, but must be a group of keys"),
        ("+agent.gama=1", "conf has no key 'agent.gama'; did you mean 'agent.gamma'?"),
        ("++agent.scm.mod=1", "conf has no key 'agent.scm.mod'; did you mean 'agent.scm.mode'?"),
        ("~agent.gamma", "agent.gamma has no value; add agent.gamma=VALUE"),
        ("total_iterations=-1", "total_iterations is -1, but must be at least 0"),
        ("rollout_size=1.5", "rollout_size is 1.5, but must be an integer"),
        ("group_size=3", "rollout_size 16 must be a multiple of group_size 3"),
        ("seed=-1", "seed is -1, but must be at least 0"),
        ("seed=4294967296", "seed is 4294967296, but must be at least 0 and at most 4294967295"),
        ("eval.seed=4294967296", "eval.seed is 4294967296, but must be at least 0 and at most 4294967295"),
        ("agent.lr=nan", "agent.lr is NaN, but must be a finite number"),
        ("eval.episodes=0", "eval.episodes is 0, but must be at least 1"),
        ("checkpoint.every=0", "checkpoint.every is 0, but must be at least 1"),
        ("+sede=1", "conf has no key 'sede'; did you mean 'seed'?"),
    ],
)  # fmt: skip
def test_a_refused_value_is_told_with_its_key_and_what_it_may_be(override, sentence):
    assert sentence in refusal("+exp=counting", override)


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (["+env.pause=inf"], "env.pause is inf, but must be finite; null means no limit, and text is quoted"),
        (["+env.pauses=[1.0,-inf]"], "env.pauses is [1.0, -inf], but must be finite"),
        (["logger=wandb", "logger.project=t5/large"], "logger.project is refused: W&B takes no '/' in the name of"),
        (["logger=wandb", f"logger.tags=[{'x' * 65}]"], "but must be text of at most 64 characters"),
    ],
)
def test_what_would_fail_later_is_refused_before_the_run(overrides, sentence):
    assert sentence in refusal("+exp=team", *overrides)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"# \xff\n", "exp/mine.yaml ('utf-8' codec can't decode byte 0xff"),
        (b"a: [\n", "a config file is not valid YAML"),
        (b"a: " + b"[" * 5000 + b"]" * 5000, "a config file is nested too deeply"),
    ],
)
def test_a_file_that_cannot_be_read_is_told_to_whoever_chooses_it_and_hides_no_other(tmp_path, content, sentence):
    (tmp_path / "conf/exp/folder.yaml").mkdir(parents=True)
    (tmp_path / "conf/exp/gone.yaml").symlink_to("nowhere")
    (tmp_path / "conf/exp/mine.yaml").write_bytes(content)
    assert "counting" in catalogue("experiments")
    assert {"folder", "gone"}.isdisjoint(choices("exp"))
    assert sentence in refusal("+exp=mine")
    assert compose(["+exp=counting"]).total_iterations == 3


@pytest.mark.parametrize("name", ["it's", "a \"b\"", "b\\s", "b\\", "a, [x]", "${HOME}", "é \n", "\udcff", "it\\'s"])
def test_configs_are_found_in_a_folder_of_any_name(tmp_path, monkeypatch, name):
    (tmp_path / name / "conf/exp").mkdir(parents=True)
    shutil.copy(CONF / "exp/counting.yaml", tmp_path / name / "conf/exp/mine.yaml")
    monkeypatch.chdir(tmp_path / name)
    assert compose(["+exp=mine"]).total_iterations == 3
    loaded, _ = hydra_config(Plan.parse(["+exp=mine", "seed=0,1"]), tmp_path / name / "sweep")
    assert loaded.hydra.sweep.dir == str(tmp_path / name / "sweep")


def test_a_typo_inside_a_file_is_told_like_one_on_the_command_line(tmp_path, monkeypatch):
    (tmp_path / "conf/exp").mkdir(parents=True)
    (tmp_path / "conf/exp/mine.yaml").write_text("# Mine\ndefaults:\n  - override /agent: toi\n")
    assert "exp/mine.yaml asks for agent/toi: agent has no choice 'toi'; did you mean toy?" in refusal("+exp=mine")
    (tmp_path / "conf/exp/mine.yaml").write_text("total_iteration: 3\n")
    assert "did you mean 'total_iterations'" in refusal("+exp=mine")
    (tmp_path / "conf/exp/mine.yaml").write_text("a: [1\n")
    assert "not valid YAML" in refusal("+exp=mine")
    (tmp_path / "conf/exp/mine.yaml").write_text("agent: {_schema_: nowhere.Model}\n")
    assert "agent names the schema 'nowhere.Model', which cannot be imported" in refusal("+exp=mine")


def test_folders_are_searched_in_order_and_the_package_wins(tmp_path, monkeypatch):
    for folder, text in (("conf/exp", "# From here"), ("conf/trainer", "# Mine"), ("other/exp", "# From the other")):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / ("cpu.yaml" if "trainer" in folder else "mine.yaml")).write_text(text)
    monkeypatch.setenv("AGENTLAB_CONF", str(tmp_path / "other"))
    assert catalogue("experiments")["mine"] == "From the other"
    assert choices("trainer")["cpu"].read_text() != "# Mine"


def test_the_purpose_is_the_first_comment_wherever_hydras_header_stands():
    assert catalogue("exp")["counting"] == "Counts to total_iterations; what the runner's own tests train"
    assert catalogue("exp")["greedy"] == "Needs what no test machine has"
    with pytest.raises(UserError, match="conf has no group 'agnts'; did you mean agents"):
        catalogue("agnts")


def test_a_choice_given_as_a_value_is_told_how_it_is_chosen():
    assert "must be a group of keys; choose one with env/browser=NAME (chromium, endpoint)" in refusal(
        "env=miniwob", "env.browser=endpoint"
    )


def test_a_number_of_episodes_that_would_count_nothing_is_refused():
    assert "eval.episodes counts nothing here, where eval.seeds is 20" in refusal(
        "+exp=synapse_miniwob", "eval.episodes=12"
    )
    assert compose(["+exp=synapse_miniwob", "eval.episodes=12", "eval.seeds=null"]).eval.seeds is None
    assert compose(["+exp=synapse_miniwob", "eval.episodes=12", "eval.seeds=2"]).eval.seeds == 2


@pytest.mark.parametrize("name", ["browsergym/miniwob.click-test", "miniwob/click-test-v1"])
def test_a_task_as_the_peers_call_it_is_told_by_our_name(name):
    assert "did you mean click-test?" in refusal("env=miniwob", f"env.tasks=[{name}]")


def test_a_finished_config_takes_changes_and_refuses_what_its_schemas_refuse():
    like = ["+exp=counting"]
    cfg = compose(like)
    changed = change(cfg, ["eval.episodes=7", "agent=open", "agent.lr=0.3"], like)
    assert (changed.eval.episodes, changed.agent.scm.mode, changed.agent.same_lr) == (7, "paper", 0.3)
    assert cfg.eval.episodes == 32
    assert change(cfg, ["eval.episodes=7"], ["+exp=forgotten"]).eval.episodes == 7
    for override, sentence in [
        ("eval.episodes=0", "eval.episodes is 0, but must be at least 1"),
        ("eval.episods=3", "no key 'eval.episods'; did you mean 'eval.episodes'?"),
        ("agent=toi", "did you mean toy?"),
        ("~agent", "nothing taken out"),
    ]:
        with pytest.raises(UserError, match=sentence.replace("?", r"\?")):
            change(cfg, [override], like)


def test_schemas_are_found_by_the_key_of_their_node():
    schemas = take_schemas(draft(["+exp=counting"]))
    assert schemas == {
        "": "tests.runners.fake_experiment.CountingSettings",
        "agent": "tests.runners.fake_experiment.ToySettings",
        "logger": "agentlab_runner.runners.config.settings.NullSettings",
        "rollout": "agentlab_runner.runners.config.settings.RolloutSettings",
        "curriculum": "agentlab_runner.runners.config.settings.NoCurriculumSettings",
    }


def test_nothing_heavy_is_imported_before_the_config_is_valid():
    code = (
        "import sys; from agentlab_runner.runners.config.compose import compose;"
        "compose(['+exp=counting', 'trainer=cpu', 'logger=wandb']);"
        "print(sorted({'torch', 'transformers', 'wandb', 'matplotlib', 'gymnasium'} & set(sys.modules)))"
    )
    path = ":".join(sys.path)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True,
        env={"AGENTLAB_CONF": str(CONF), "PYTHONPATH": path},
    )  # fmt: skip
    assert done.stdout == "[]\n"


def test_every_packaged_experiment_is_valid_or_says_what_it_must_be_given():
    names = [name for name, file in choices("exp").items() if CONF not in file.parents]
    assert "coso_android" in names
    for name in names:
        given: list[str] = []
        while missing := missing_key(f"+exp={name}", *given):
            given.append(f"{missing}=something")


def missing_key(*overrides: str) -> str | None:
    """The key these overrides still leave without a value; any other fault is raised."""
    try:
        compose(overrides)
    except UserError as fault:
        if " has no value; add " not in str(fault):
            raise
        return str(fault).partition(" ")[0]
    return None


@pytest.mark.parametrize(
    ("word", "name"), [("sede", "seed"), ("agent.gama", "agent.gamma"), ("gama", "agent.gamma"), ("xyzzy", None)]
)
def test_nearest_name(word, name):
    assert nearest(word, ["seed", "agent.gamma", "agent.lr"]) == name


def test_the_node_that_all_keys_share_makes_none_the_nearest():
    known = ["phone", "phone.phones", "phone.port", "phone.phone.scale"]
    assert nearest("phone.debug", known) is None
    assert nearest("phone.prt", known) == "phone.port"


def test_a_changed_group_brings_keys_that_can_be_given_at_once():
    like = ["+exp=coso_android"]
    changed = change(compose(like), ["env/evaluator=judge", "env.evaluator.model=judge-7b"], like)
    assert changed.env.evaluator.model == "judge-7b"


def test_a_home_that_no_shell_filled_in_is_filled_in(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert compose(["+exp=counting", "runs_dir=~/there"]).runs_dir == f"{tmp_path}/there"
    assert normalise(["a=[~/x,~/y]", "b=~", "~c", "d=a~/b", "e='~/f'"]) == [
        f"a=[{tmp_path}/x,{tmp_path}/y]", f"b={tmp_path}", "~c", "d=a~/b", "e='~/f'",
    ]  # fmt: skip
    (tmp_path / "conf/exp").mkdir(parents=True)
    (tmp_path / "conf/exp/mine.yaml").write_text("# @package _global_\nruns_dir: ~/mine\n")
    monkeypatch.chdir(tmp_path)
    assert compose(["+exp=mine"]).runs_dir == f"{tmp_path}/mine"


def test_what_a_model_refuses_elsewhere_is_told_in_the_same_words():
    with pytest.raises(ValidationError) as fault:
        ToySettings(lr=7, gamma=0.5, entropy="none", greedy=False, window=4, scm=ScmSettings(mode="exact"))
    assert told(fault.value) == "lr is 7, but must be less than or equal to 1"
    with pytest.raises(ValidationError) as fault:
        ScmSettings(mode="exact", mood=1)
    assert told(fault.value) == "conf has no key 'mood'"


def test_young_keys_change_no_hash_while_they_say_nothing():
    old = {"seed": 1, "agent": {"lr": 0.1}}
    assert config_hash(old) == config_hash(old | {"init_from": None, "callbacks": [], "tags": ["a"], "notes": "b"})
    assert config_hash(old) != config_hash(old | {"init_from": "runs/a@3"})
    assert config_hash(old) != config_hash(old | {"callbacks": [{"_target_": "a.B"}]})
