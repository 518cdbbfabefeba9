"""The whole agent: what it is shown, what it is asked, and what its programs do."""

import json
import logging

import pytest

from agentlab_runner.agents.memory.embedders import Hashed
from agentlab_runner.agents.synapse.agent import SynapseAgent
from agentlab_runner.agents.synapse.language import Programs
from agentlab_runner.agents.synapse.memory import demonstrated
from agentlab_runner.runners.errors import UserError
from agentlab_runner.runners.online.rollout import Start, demonstrate, play
from agentlab_runner.runners.types import Decision, Step, StopReason, Trajectory
from tests.agents.synapse.pages import WORDS, Buttons, Calls, Expert, Saying, wanted


@pytest.fixture
def make(tmp_path):
    def make(policy=None, memory=None, shown=8, steps=1, tasks=("press",), **settings):
        own = SynapseAgent(policy, Calls(), memory={"embedder": Hashed(), **(memory or {})}, **settings)
        own.prepare(tmp_path / "run", lambda *a, **k: None)
        if shown and not own.remembers:
            episodes = demonstrate(Expert(), Buttons(steps=steps, tasks=tasks), range(shown))
            own.remember([one for one in episodes if one.success], lambda *a, **k: None)
        return own

    return make


def played(own, seeds=range(5), steps=1, envs=2, **env):
    starts = [Start(number, seed, {}) for number, seed in enumerate(seeds)]
    found = dict(play(own, [Buttons(steps=steps, **env) for _ in range(envs)], starts, deterministic=True))
    return [found[number] for number in range(len(starts))]


def rate(episodes):
    return sum(one.success for one in episodes) / len(episodes)


def test_a_model_is_shown_how_it_was_done_and_its_program_is_done(make):
    model = Saying(wanted)
    own = make(model, memory={"per_task": 2}, max_tokens=77)
    assert rate(played(own)) == 1
    talk, how = model.asked[0], model.how[0]
    assert [turn.role for turn in talk] == ["system", "user", "assistant", "user", "assistant", "user"]
    assert talk[0].text == Calls.program_api
    assert talk[2].text == "```\nagent.press('one')\n```"
    assert talk[-1].text.startswith("Observation:\n<div id='query'>")
    assert talk[-1].text.endswith("\nAction:")
    assert (how["max_tokens"], how["stop"], how["deterministic"]) == (77, ("Observation:",), True)


def test_a_trajectory_is_shown_whole_and_so_is_that_of_the_episode(make):
    def say(talk, listed):
        return "```\nagent.press('later')\n```" if "press 0" in talk[-1].text else wanted(talk)

    model = Saying(say)
    assert rate(played(make(model, steps=2, memory={"per_task": 1}), seeds=[3], steps=2)) == 1
    second = [turn.text for turn in model.asked[1]]
    assert second[1] == 'Task: Press the button "one".\nTrajectory:'
    assert [second[3], second[5]] == ["```\nagent.press('later')\n```", "```\nagent.press('one')\n```"]
    assert second[6] == 'Task: Press the button "four".\nTrajectory:'
    assert second[8] == "```\nagent.press('later')\n```"
    assert len(second) == 10


def test_pairs_are_shown_without_a_past(make):
    def say(talk, listed):
        return "```\nagent.press('later')\n```" if "press 0" in talk[-1].text else wanted(talk)

    model = Saying(say)
    assert rate(played(make(model, steps=2, memory={"per_task": 1}, trajectories=False), seeds=[3], steps=2)) == 1
    assert [turn.role for turn in model.asked[1]] == ["system", "user", "assistant", "user", "assistant", "user"]


def test_only_the_task_is_shown(make):
    model = Saying(wanted)
    assert rate(played(make(model, abstraction="goal", shown=2))) == 1
    assert model.asked[0][-1].text == 'Observation:\nPress the button "one".\nAction:'
    assert model.asked[0][1].text == 'Observation:\nPress the button "one".\nAction:'


@pytest.mark.parametrize(
    ("exemplars", "decoder", "least", "most"),
    [("memory", "analogy", 1.0, 1.0), ("memory", "copy", 0.0, 0.99), ("none", "analogy", 0.0, 0.0),
     ("task", "analogy", 1.0, 1.0), ("random", "analogy", 0.0, 1.0)],
)  # fmt: skip
def test_what_exemplars_alone_do(make, exemplars, decoder, least, most):
    own = make(exemplars=exemplars, decoder=decoder, shown=2)
    assert least <= rate(played(own)) <= most


def test_without_a_memory_it_falls_to_what_it_does_without_exemplars(make):
    own = make(decoder="analogy", shown=0)
    with pytest.raises(UserError, match=r"the memory is empty; give agent\.memory\.folder"):
        played(own)
    (episode, *_) = played(make(decoder="analogy", exemplars="none", shown=0))
    assert (episode.stop, episode.reason) == (StopReason.GAVE_UP, "there is no exemplar")


def test_a_model_chooses_among_what_fits_alone(make):
    offered = []

    def choose(talk, listed):
        offered.extend(listed)
        return next(one for one in listed if one == wanted(talk))

    assert rate(played(make(Saying(choose), decoder="held", shown=1))) == 1
    assert all(one.count("agent.press") == 1 for one in offered)
    assert len(set(offered)) > len(WORDS), "words of the task and of the page stand in each program"


@pytest.mark.parametrize(
    ("reply", "finish", "stop", "reason"),
    [
        ("", "stop", "gave_up", "the answer is empty"),
        ("```\nagent.press('o", "length", "gave_up", "the answer is cut before its program ends"),
        ("no", "refusal", "gave_up", "the model refused"),
        ("I press it.", "stop", "failure", ""),
        ("```python\nimport os\n```", "stop", "failure", ""),
        ("```\nwhile True:\n    pass\n```", "stop", "failure", ""),
        ("```\nagent.press('one')\nagent.fly()\n```", "stop", "success", ""),
        ("```\nagent.press('one')\nagent.press('nine')\nagent.press('two')\n```", "stop", "success", ""),
        ("Well:\n```agent.press('one')```\n```\nagent.press('two')\n```", "stop", "success", ""),
        ("```\nfor word in ['two', 'one']:\n    agent.press(f'{word}')\n```", "stop", "success", ""),
    ],
)
def test_what_a_reply_comes_to(make, reply, finish, stop, reason):
    (episode,) = played(make(Saying(lambda talk, listed: reply, finish)), seeds=[0])
    assert (episode.stop.value, episode.reason) == (stop, reason)


def test_a_fault_in_a_program_is_told(make):
    own = make(Saying(lambda talk, listed: "```\nagent.press('one')\nagent.fly()\n```"))
    (episode,) = played(own, seeds=[0])
    record = episode.steps[0].decision.extras["record"]
    assert "agent.fly" in record["fault"] or "fly" in record["fault"]
    assert record["exemplars_of"] == "press"
    assert [task for task, _ in record["found"]] == ["press"] * 3
    assert all(-1 <= alike <= 1.0001 for _, alike in record["found"])
    assert episode.steps[0].decision.action == "press one"


def test_a_prompt_that_is_too_long_is_not_asked(make):
    model = Saying(wanted)
    (episode,) = played(make(model, max_prompt_tokens=50), seeds=[0])
    assert (episode.stop.value, episode.reason) == ("gave_up", "context limit: the prompt is longer than 50 tokens")
    assert model.asked == []


FILTERED = {
    "press": {
        "demo": [{"state": "<p>a</p>", "obs": "a", "act": "agent.press('one')"}],
        "filter_prompt": "Keep the words.\n", "code_filter_prompt": "For <task> of <state>:",
    },
}  # fmt: skip


def stored(tmp_path, content):
    folder = tmp_path / "store"
    folder.mkdir(exist_ok=True)
    (folder / "exemplars.json").write_text(json.dumps(content))
    (folder / "specifiers.json").write_text(json.dumps({task: [f"Task: {task}\nState:\n"] for task in content}))
    return {"folder": str(folder)}


def test_a_page_is_abstracted_by_example(make, tmp_path):
    model = Saying(lambda talk, listed: " the words \n" if "State:" in talk[-1].text else wanted_of(talk))
    played(make(model, memory=stored(tmp_path, FILTERED), abstraction="implicit"), seeds=[0])
    asked, act = model.asked
    assert asked[0].text.startswith("Keep the words.\nState:\n<p>a</p>\nObservation:\na\n\nState:\n<div")
    assert model.how[0]["stop"] == ("Action:", "Output:", "State:")
    assert act[-1].text == "Observation:\nthe words\nAction:"
    assert act[1].text == "Observation:\na\nAction:"


def wanted_of(talk):
    return "```\nagent.press('one')\n```"


@pytest.mark.parametrize(
    ("code", "left"),
    [
        ("```python\nobs = state[:4]\n```", "<div"),
        ("obs = BeautifulSoup(state, 'html.parser').find('button').text", "one"),
        ("```\nimport os\nobs = os.getcwd()\n```", "fallen back"),
        ("```\nobs = 3\n```", "fallen back"),
        ("nothing", "fallen back"),
    ],
)
def test_a_page_is_abstracted_by_a_program_or_else_by_example(make, tmp_path, code, left):
    def say(talk, listed):
        if talk[-1].text.startswith("For Press the button"):
            return code
        return "fallen back" if "State:" in talk[-1].text else wanted_of(talk)

    model = Saying(say)
    played(make(model, memory=stored(tmp_path, FILTERED), abstraction="code"), seeds=[0])
    assert model.asked[-1][-1].text == f"Observation:\n{left}\nAction:"
    if left == "fallen back":
        assert model.asked[1][0].text.startswith("Keep the words.\n")
        assert model.how[1]["stop"] == ("Action:",)


def test_a_memory_is_taken_up_again_and_of_another_embedder_refused(make, tmp_path):
    own = make(decoder="analogy")
    played(own)
    files = {file.name: file.read_bytes() for file in (tmp_path / "run" / "memory").glob("*.json")}
    assert set(files) == {"exemplars.json", "specifiers.json", "made_from.json"}
    again = make(decoder="analogy", shown=0)
    assert again.remembers
    assert rate(played(again)) == 1
    assert {file.name: file.read_bytes() for file in (tmp_path / "run" / "memory").glob("*.json")} == files
    other = make(decoder="analogy", memory={"embedder": Hashed(dim=64)})
    with pytest.raises(UserError, match="embed"):
        played(other)


def test_equal_exemplars_are_one_and_a_task_has_no_more_than_it_may(make, tmp_path):
    make(memory={"per_task": 3}, decoder="analogy", shown=12)
    shown = json.loads((tmp_path / "run" / "memory" / "exemplars.json").read_text())
    assert [demo["act"] for demo in shown["press"]["demo"]] == [f"agent.press('{word}')" for word in WORDS[:3]]
    origins = json.loads((tmp_path / "run" / "memory" / "made_from.json").read_text())
    assert [one["restart"]["word"] for one in origins["press"]] == list(WORDS[:3])


def test_who_is_shown_an_episode_that_is_played_is_warned_of(make, caplog):
    with caplog.at_level(logging.WARNING):
        played(make(decoder="analogy", shown=1), seeds=[2])
        assert not caplog.records
        played(make(decoder="analogy", shown=1), seeds=[0, 5])
    assert len([one for one in caplog.records if "an exemplar shows how" in one.message]) == 1


def test_episodes_in_the_layout_of_the_release(make, tmp_path):
    def say(talk, listed):
        return wanted(talk) if '"two"' not in talk[-1].text else "```\nagent.press('one')\n```"

    played(make(Saying(say), export="original", tasks=("press", "../other")), seeds=[0, 1])
    files = sorted(str(file.relative_to(tmp_path / "run" / "original")) for file in (tmp_path / "run").rglob("*seed*"))
    assert len(files) == 2
    assert all(file.startswith("press/no_filt_seed_") for file in files)
    assert [file.rpartition("_")[2] for file in files] == ["success.json", "fail.json"]
    (said, *_) = json.loads((tmp_path / "run" / "original" / files[0]).read_text())
    assert set(said) == {"input", "output", "token_stats"}
    assert said["input"][0]["role"] == "system"
    stats = said["token_stats"]
    assert stats["total_tokens"] == stats["prompt_tokens"] + stats["completion_tokens"]


def test_no_exemplar_of_a_task_by_name(make):
    own = make(exemplars="task", decoder="analogy")
    with pytest.raises(UserError, match=r"there is no exemplar of pull \(but of: press\)"):
        played(own, tasks=("pull",))


def test_little_alike_is_not_shown(make):
    (episode,) = played(make(decoder="analogy", memory={"min_similarity": 0.999}, shown=2), seeds=[4])
    assert episode.reason == "there is no exemplar"
    (episode,) = played(make(decoder="analogy", memory={"min_similarity": 0.5}), seeds=[4])
    assert episode.success


def test_steps_become_blocks_that_end_where_a_fresh_page_was_needed():
    """A button that comes later begins a block of its own; what was on the page before does not."""
    page = "<button id='a'></button>"
    seen = [{"goal": "g", "state": f"<p>{n}</p>{page}" + "<i id='new'></i>" * (n > 1)} for n in range(4)]
    calls = ["click_xpath //*[@id='a']", "press one", "click_xpath //*[@id='new']", "click_xpath //*[@id='a']"]
    steps = tuple(Step(one, Decision(call), 0.0) for one, call in zip(seen, calls, strict=True))
    demo = demonstrated(Trajectory(steps, {}, StopReason.SUCCESS, True, 0, "t"), Programs(Calls()), joined=True)
    assert [turn.act.splitlines() for turn in demo.turns] == [
        ["agent.click_xpath(\"//*[@id='a']\")", "agent.press('one')"],
        ["agent.click_xpath(\"//*[@id='new']\")", "agent.click_xpath(\"//*[@id='a']\")"],
    ]
    assert [turn.state for turn in demo.turns] == [seen[0]["state"], seen[2]["state"]]
    assert demo.is_trajectory
