"""`agentlab check` as a user meets it."""

import json


def test_an_experiment_holds_from_its_seeds_to_its_resumption(cli, cli_env, tmp_path):
    cli_env["AGENTLAB_CACHE"] = str(tmp_path / "cache")
    done = cli("check", "+exp=coso_numberline", "--episodes", "3", "--json")
    assert done.exit_code == 0, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert found["held"]
    states = {(one["part"], one["check"]): one["state"] for one in found["checks"]}
    assert states["env", "seeds decide"] == states["agent", "kill and resume"] == states["agent", "state"] == "held"
    assert not (tmp_path / "runs").exists()


def test_what_does_not_hold_ends_with_1_and_what_is_not_there_with_2(cli, tmp_path):
    (tmp_path / "conf" / "env").mkdir(parents=True)
    (tmp_path / "conf" / "env" / "deaf.yaml").write_text("_target_: tests.runners.check.rooms.Deaf\nnum_envs: 2\n")
    broken = cli("check", "env=deaf")
    assert broken.exit_code == 1
    assert "Deaf.reset gave the same episode" in broken.stdout
    gone = cli("check", "env=alfworld", "env.engine=pddl", "env.data=/nowhere")
    assert gone.exit_code == 2
    assert gone.stderr.startswith("agentlab: ")
    assert cli("check").exit_code == 2
    assert "agentlab check" in cli("check", "--help").stdout
