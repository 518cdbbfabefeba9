"""The Gymnasium environment: what it shows, asks and scores."""

import warnings
from random import Random

import gymnasium
import pytest
from gymnasium.utils.env_checker import check_env

from agentlab_runner.envs import mind2web
from agentlab_runner.envs.mind2web.env import SCORES, Mind2WebEnv
from agentlab_runner.envs.mind2web.samples import load
from agentlab_runner.envs.mind2web.truth import Recorded
from agentlab_runner.runners.online.rollout import collect, demonstrate
from agentlab_runner.runners.types import Decision, StopReason
from tests.envs.mind2web import reference
from tests.envs.mind2web.test_mind2web_data import action, data, sample  # noqa: F401 - a fixture


@pytest.fixture(autouse=True)
def _fresh():
    load.cache_clear()


def finish(env, choose):
    infos, over = [], False
    while not over:
        seen, _, over, _, info = env.step(choose(env))
        infos.append(info)
    return seen, infos


def test_passes_gymnasiums_own_check():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message=".*(Text|render_modes|render_mode|spec|Sequence).*")
        check_env(mind2web.make().unwrapped, skip_render_check=True)
    assert mind2web.ENV_ID in gymnasium.registry


@pytest.mark.parametrize("split", ["train", "test_task", "test_website", "test_domain"])
def test_who_does_what_was_recorded_does_everything_right(split):
    env = Mind2WebEnv(split=split, rank_test=False, candidates=20)
    for episode in demonstrate(Recorded(), env, range(len(env.samples))):
        assert (episode.stop, episode.success) == (StopReason.SUCCESS, True)
        assert {episode.measures[name] for name in SCORES} == {1.0}
        assert len(episode.steps) == episode.measures["steps"] == episode.total_reward
        past = episode.final_observation["past"]
        assert [turn["action"] for turn in past] == [step.decision.action for step in episode.steps]


@pytest.mark.parametrize("seed", range(30))
def test_scores_are_those_of_the_released_rules(seed):
    rng = Random(seed)
    split = rng.choice(["train", "test_task", "test_website", "test_domain"])
    env = Mind2WebEnv(split=split, candidates=rng.choice([3, 5]))
    env.reset(seed=seed)
    totals, asked = dict.fromkeys(SCORES, 0.0), 0

    def answer(env):
        true = env.truth
        swapped = true.replace("CLICK", "TYPE") if rng.random() < 0.5 else true.replace("[", "[1", 1)
        halved = true.split("] [")[0] + "]"
        return rng.choice([true, true, f" {true} ", swapped, halved, "", "CLICK", f"{true} [more words]"])

    over = False
    while not over:
        step, true, said = env.recorded, env.truth, answer(env)
        assert step.is_ranked(env.candidates)
        _, _, over, _, info = env.step(said)
        assert info["scores"] == pytest.approx(reference.scores(said.strip(), true), abs=1e-9)
        totals = {name: totals[name] + info["scores"][name] for name in SCORES}
        asked += 1
    steps = env.sample.steps
    assert asked == sum(step.is_ranked(env.candidates) for step in steps)
    means = {name: total / len(steps) for name, total in totals.items()}
    assert {name: info["measures"][name] for name in SCORES} == pytest.approx(means)
    assert info["measures"]["not_asked"] == pytest.approx(1 - asked / len(steps))
    assert info["success"] == (totals["step_success"] == len(steps))


def two_pages(data, **first):  # noqa: F811
    return data(sample(actions=[action("u", **first), action("v"), action("w")]))


def test_a_step_that_is_not_ranked_is_not_asked_and_scores_nothing(data):  # noqa: F811
    ranks = {f"t_{uid}": {"2": 5 if uid == "v" else 0, "4": 1} for uid in "uvw"}
    env = Mind2WebEnv(path=str(data(sample(actions=[action("u"), action("v"), action("w")]), ranks=ranks)))
    seen, info = env.reset(seed=0, options={"episode": 0})
    assert (seen["past"], info["measures"]["steps"]) == ((), 3.0)
    seen, *_, info = env.step("CLICK [2]")
    assert [turn["words"] for turn in seen["past"]] == ["[link]  Go -> CLICK"] * 2  # the one said, the one not asked
    _, _, over, _, info = env.step("CLICK [2]")
    assert (over, info["success"], info["stop"]) == (True, False, "failure")
    assert info["measures"] == pytest.approx(
        {**dict.fromkeys(SCORES, 2 / 3), "not_asked": 1 / 3, "no_positive": 0.0, "steps": 3.0}
    )


def test_a_step_without_positives_is_counted(data):  # noqa: F811
    env = Mind2WebEnv(path=str(two_pages(data, positive="")))
    seen, info = env.reset(seed=0, options={"episode": 0})
    assert (len(seen["past"]), info["measures"]["no_positive"]) == (1, 1 / 3)
    assert seen["past"][0]["action"] == "CLICK [4]"
    env = Mind2WebEnv(path=str(two_pages(data, positive="")), rank_test=False)
    seen, _ = env.reset(seed=0, options={"episode": 0})
    assert seen["past"] == ()
    assert seen["observation"].endswith("<a id=4 /> </html>")


def test_a_task_none_of_whose_steps_is_ranked_scores_nothing(data):  # noqa: F811
    env = Mind2WebEnv(path=str(data(sample(actions=[action("u"), action("v")]), ranks={
        f"t_{uid}": {"2": 9, "4": 1} for uid in "uv"})))  # fmt: skip
    seen, _ = env.reset(seed=0, options={"episode": 0})
    assert len(seen["past"]) == 1
    _, reward, over, _, info = env.step("CLICK [2]")
    assert (reward, over, info["success"]) == (0.0, True, False)
    assert set(info["scores"].values()) == {0.0}


def test_the_past_is_what_was_recorded_or_what_was_said(data):  # noqa: F811
    folder = str(two_pages(data))
    truth, said = (Mind2WebEnv(path=folder, history=history) for history in ("truth", "predicted"))
    for env in (truth, said):
        env.reset(seed=0, options={"episode": 0})
    first = truth.step("`CLICK [4]`")[0]["past"][0]
    assert (first["action"], first["words"]) == ("CLICK [2]", "[link]  Go -> CLICK")
    seen = said.step("`CLICK [4]`")[0]
    assert (seen["past"][0]["action"], seen["past"][0]["words"]) == ("CLICK [4]", "")
    assert "Previous actions:\nCLICK [4]\n" in seen["text"]


def test_nothing_that_is_shown_says_which_element_it_is(data):  # noqa: F811
    """Pages are alike whichever of two candidates was acted on; only the past tells, and the past is over."""
    first, second = (
        Mind2WebEnv(path=str(data(sample(actions=[action(positive=own, neg_candidates=[{"backend_node_id": other}])]))))
        .reset(seed=0)[0]
        for own, other in (("2", "4"), ("4", "2"))
    )
    assert first == second


def test_an_agent_that_gives_up_has_scored_nothing_of_the_rest(data):  # noqa: F811
    class Quits:
        def begin(self, episodes):
            self.asked = 0

        def act(self, observations, deterministic):
            self.asked += 1
            return [Decision("CLICK [2]") if self.asked == 1 else Decision(None, give_up="tired")]

        def end(self, trajectories):
            pass

    env = Mind2WebEnv(path=str(two_pages(data)))
    (episode,) = collect(Quits(), [env], [0])
    assert (episode.stop, episode.measures["step_success"]) == (StopReason.GAVE_UP, pytest.approx(1 / 3))
    env = Mind2WebEnv(path=str(two_pages(data)))
    quits = Quits()
    quits.begin = lambda episodes: setattr(quits, "asked", 1)
    (episode,) = collect(quits, [env], [0])
    assert (episode.measures["step_success"], episode.measures["steps"]) == (0.0, 3.0)


def test_episodes_are_chosen_by_number_website_name_or_seed():
    env = Mind2WebEnv(split="test_website")
    names = [env.reset(seed=0, options={"episode": at})[1]["restart"]["sample"] for at in range(9)]
    assert names[:8] == [one.name for one in env.samples]
    assert names[8] == names[0]
    _, info = env.reset(seed=0, options={"task": "jetaway", "episode": 1})
    assert (info["task"], info["restart"]["sample"]) == ("jetaway", names[5])
    assert env.reset(seed=9, options=info["restart"])[1]["restart"] == info["restart"]
    with pytest.raises(ValueError, match=r"no task of website 'amazon'; its websites are cornerstore, jetaway"):
        env.reset(seed=0, options={"task": "amazon"})
    drawn = Mind2WebEnv(split="test_website", order="drawn")
    found = [drawn.reset(seed=seed, options={"episode": 0})[1]["restart"]["sample"] for seed in range(12)]
    assert len(set(found)) > 3


@pytest.mark.parametrize("wrong", [{"split": "test"}, {"history": "none"}, {"order": "any"}, {"candidates": 0}])
def test_unknown_choices_are_refused(wrong):
    with pytest.raises(ValueError, match=r"choose one of|at least 1"):
        Mind2WebEnv(**wrong)


def test_bad_input_leaves_no_run(cli, tmp_path):
    result = cli("eval", "+exp=synapse_mind2web", "env.path=nowhere", "logger=none")
    assert (result.exit_code, result.stderr.strip().splitlines()[-1]) == (
        2, "agentlab: nowhere/test_task holds no NAME_N.json; give env.path the folder `data` of Mind2Web",
    )  # fmt: skip
    assert not list(tmp_path.glob("runs/*synapse*"))
