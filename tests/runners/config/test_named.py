"""What the config of a run folder may have built: what configs here name, and nothing that is the user's to say."""

import subprocess
import sys
from contextlib import suppress

import pytest
from omegaconf import OmegaConf

from agentlab_runner.runners.config.compose import compose
from agentlab_runner.runners.config.listing import choices
from agentlab_runner.runners.config.named import check_named
from agentlab_runner.runners.config.older import choices_in, complete
from agentlab_runner.runners.errors import UserError
from tests.conftest import environment

ROOM = "agentlab_runner"
LAUNCH = f"{ROOM}.envs.android.devices.android_env.launch"
RAY = f"{ROOM}.runners.online.ray_rollout.RayRollout"
JUDGE = f"{ROOM}.envs.android.evaluators.Judge"
SOURCE = f"{ROOM}.agents.coso.released.load_trajectories"


def check(config, given=()):
    check_named(config, "RUN/config.yaml", "--trust RUN", given)


@pytest.mark.parametrize(
    "target",
    [
        "os.system", "pandas.read_pickle", "joblib.load", "torch.load", "urllib.request.urlretrieve", "builtins.eval",
        "hydra.utils.get_method", f"{ROOM}.runners.files.atomic.write_atomic", "antigravity.geohash", "", 7, None,
        ["a"],
        f"{ROOM}.runners.processes.trainer.Trainer.__init__", " " + SOURCE,
        f"{ROOM}.data_cleaning.command.cli.app", f"{ROOM}.envs.android.devices.adb_server.serve",  # verbs', not a run's
    ],
)  # fmt: skip
@pytest.mark.parametrize("mark", ["_target_", "_schema_"])
@pytest.mark.parametrize(
    "around",
    [
        lambda node: {"trainer": node},
        lambda node: {"eval": {"env": {"deep": {"er": node}}}},
        lambda node: {"callbacks": [1, [{"x": [node]}]]},
        lambda node: node,
    ],
)
def test_what_no_config_here_names_is_refused_wherever_it_stands(target, mark, around):
    with pytest.raises(UserError, match=r"RUN/config\.yaml has .* built from .*add --trust RUN$"):
        check(around({mark: target, "x": 1}))
    assert "antigravity" not in sys.modules


@pytest.mark.parametrize("exp", choices("exp"))
def test_every_experiment_here_may_be_resumed(exp):
    with suppress(UserError):  # some want a server or a model folder named
        check(OmegaConf.to_container(cfg) if (cfg := compose([f"+exp={exp}"])) else {})


@pytest.mark.parametrize(
    "choice",
    [
        *(["+exp=coso_android", f"env/device={name}"] for name in choices("env/device")),
        ["+exp=coso_android", "env/evaluator=judge", "env.evaluator.model=x"],
        ["+exp=coso_android", "+env/device@eval.env.device=adb"],
        ["+exp=coso_android", "+episodes=released", "offline.source.path=x.pt"],
        ["+exp=coso_android", "rollout=ray", "rollout.address=auto"],
    ],
)
def test_what_configs_here_say_needs_no_word(choice):
    check(OmegaConf.to_container(compose(choice)))


def test_what_a_config_of_the_users_own_names_is_accepted(tmp_path, monkeypatch):
    mine = {"agent": {"_target_": "my_lab.agents.Mine", "parts": [{"_target_": "my_lab.Part"}]}}
    with pytest.raises(UserError, match=r"agent built from my_lab\.agents\.Mine"):
        check(mine)
    for folder in ("here/conf/agent", "elsewhere/agent"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "here/conf/agent/mine.yaml").write_text("_target_: my_lab.agents.Mine\n")
    (tmp_path / "elsewhere/agent/mine.yaml").write_text("parts: [{_target_: my_lab.Part}]\n")
    (tmp_path / "elsewhere/agent/broken.yaml").write_text("a: [")
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("AGENTLAB_CONF", str(tmp_path / "elsewhere"))
    check(mine)


@pytest.mark.parametrize(
    ("config", "key"),
    [
        ({"env": {"device": {"_target_": LAUNCH, "sdk": "runs/sent/sdk"}}}, "env.device.sdk"),
        ({"trainer": {"_target_": LAUNCH, "sdk": "runs/sent/sdk"}}, "trainer.sdk"),
        ({"env": {"evaluator": {"_target_": JUDGE, "key_env": "AWS_SECRET_ACCESS_KEY"}}}, "env.evaluator.key_env"),
        ({"env": {"evaluator": {"_target_": JUDGE, "base_url": "http://far.example"}}}, "env.evaluator.base_url"),
        ({"model": {"server": {"url": "http://far.example"}}}, "model.server.url"),
        ({"rollout": {"_target_": RAY, "address": "ray://far.example:10001"}}, "rollout.address"),
        ({"offline": {"source": {"_target_": SOURCE, "allow_pickle": True}}}, "offline.source.allow_pickle"),
        ({"x": {"_target_": f"{ROOM}.agents.llm.tiny.create", "folder": "/tmp/x"}}, "x.folder"),
    ],
)
def test_programs_secrets_and_places_to_write_are_for_the_user_to_say(config, key):
    with pytest.raises(UserError, match=rf"sets {key} to .*say it again as {key}=VALUE, or, .*add --trust RUN"):
        check(config)
    check(config, given=[key])
    check(config, given=[key.rpartition(".")[0]])


def test_what_configs_say_of_the_users_own_keys_needs_no_word(tmp_path, monkeypatch):
    config = {"env": {"device": {"_target_": LAUNCH, "sdk": "/opt/sdk"}}}
    check({"env": {"device": {"_target_": LAUNCH, "sdk": "~/Android/Sdk"}}})
    for address in (None, "auto"):
        check({"rollout": {"_target_": RAY, "address": address}})
    (tmp_path / "conf/exp").mkdir(parents=True)
    (tmp_path / "conf/exp/mine.yaml").write_text("# @package _global_\nenv: {device: {sdk: /opt/sdk}}\n")
    with pytest.raises(UserError, match="sdk"):
        check(config)
    monkeypatch.chdir(tmp_path)
    check(config)


def test_marks_are_for_readers_of_conf_and_reach_no_program():
    assert "_yours_" not in OmegaConf.to_yaml(compose(["+exp=coso_android", "rollout=ray", "env/device=android_env"]))


# -- what a run's command may say --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "said",
    [
        "hydra.searchpath=[file:///tmp/evil]", "agent=../../evil/agent", "+exp=../evil", "a.b={_schema_: os.x}",
        "+x._target_=os.system", "agent.lr=${oc.env:HOME}", "hydra/launcher=joblib", "agent=[coso,x]", "[" * 10_000,
        "nothing", "", "agent.lr=1", "train",
    ],
)  # fmt: skip
def test_of_a_command_only_choices_are_composed_again(said):
    own = ["+exp=coso_android", "env/device@eval.env.device=sim", "~logger", "~agent.scm.window"]
    assert choices_in([*own[:1], said, *own[1:]]) == own


# -- older runs --------------------------------------------------------------------------------------------------------

OLD = ["+exp=coso_numberline"]


def without(cfg, *gone):
    plain = OmegaConf.to_container(cfg)
    for key in gone:
        *path, last = key.split(".")
        node = plain
        for name in path:
            node = node[name]
        del node[last]
    return OmegaConf.create(plain)


def test_what_a_run_is_older_than_is_filled_in_by_its_schema():
    today = compose(OLD)
    older = without(today, "group_size", "agent.group_size", "agent.scm.top_k", "offline", "rollout")
    whole, filled, absent = complete(older, OLD)
    assert filled == {"group_size": 1, "agent.group_size": 1, "agent.scm.top_k": 8, "offline": None, "rollout": None}
    assert {"group_size", "agent.group_size", "rollout._target_"} <= absent
    assert whole == OmegaConf.merge(today, {"rollout": None})
    assert "group_size" not in older


def test_a_run_of_today_is_left_as_it_is():
    today = compose([*OLD, "model.lora=null"])
    assert complete(today, OLD) == (today, {}, set())
    assert complete(today, ["+exp=gone"]) == (today, {}, set())


def test_what_has_no_default_is_not_made_up():
    _, filled, absent = complete(without(compose(OLD), "eval.seed"), OLD)
    assert filled == {}
    assert absent == {"eval.seed"}


def test_reading_configs_takes_no_heavy_import():
    code = "import sys; from agentlab_runner.runners.config.named import Named; Named.in_configs(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment())
    assert not {"torch", "transformers", "pydantic"} & set(done.stdout.split())
