"""`variant=synapse_compat`: each rule by which those pages differ, in a real browser, beside the stock page."""

import re

import pytest

from agentlab_runner.runners.config.compose import compose
from agentlab_runner.runners.errors import UserError

COUNTED = {
    "email-inbox": ("email-thread", (4, 6), (4, 11)),
    "email-inbox-nl-turk": ("email-thread", (3, 4), (4, 11)),
    "email-inbox-forward-nl-turk": ("email-thread", (3, 4), (4, 11)),
    "social-media": ("media", (3, 4), (5, 9)),
    "social-media-some": ("media", (3, 6), (6, 11)),
    "social-media-all": ("media", (3, 6), (6, 11)),
}
"""What is counted, and the least and the most of it: as changed, and stock."""


def pages(env, task, seeds):
    """The html of a task's pages."""
    return [env.reset(seed=seed, options={"task": task})[0]["html"] for seed in range(seeds)]


@pytest.fixture
def both(make):
    def both(*tasks, **settings):
        return make(*tasks, variant="synapse_compat", **settings), make(*tasks, **settings)

    return both


def test_there_are_fewer_mails_and_posts(both):
    changed, stock = both(*COUNTED)
    for task, (name, ours, theirs) in COUNTED.items():
        for env, (least, most) in ((changed, ours), (stock, theirs)):
            counts = [html.count(f'class="{name}"') for html in pages(env, task, 24)]
            assert (least, most) == (min(counts), max(counts)) if env is changed else least <= min(counts), task
            assert max(counts) <= most, task


def test_algebra_only_adds(both):
    changed, stock = both("simple-algebra")
    problem = re.compile(r'id="math-problem"[^>]*>[^<]*(\+|-)[^<]*=')
    signs = [{problem.search(html)[1] for html in pages(env, "simple-algebra", 12)} for env in (changed, stock)]
    assert signs == [{"+"}, {"+", "-"}]


def test_classes_hold_the_answer(both):
    changed, stock = both("text-transform", "choose-list")
    for html in pages(changed, "text-transform", 4):
        letters = "".join(re.findall(r"deg\);\"[^>]*>(.)</span>", html))
        assert letters
        assert f'id="captcha" class="{letters.lower()}"' in re.sub(r' data-\w+="\w+"', "", html)
    for html in pages(changed, "choose-list", 4):
        names = re.findall(r"<option[^>]*>([^<]*)", html)
        assert f'class="{",".join(names)}"' in html
    assert 'captcha" class' not in pages(stock, "text-transform", 1)[0]
    assert "select class" not in pages(stock, "choose-list", 1)[0]


def test_boxes_pay_all_or_nothing(both):
    tasks = ("click-checkboxes", "click-checkboxes-large", "click-checkboxes-soft", "click-checkboxes-transfer")
    found = []
    for env in both(*tasks, action="program", reward="raw"):
        paid = set()
        for task in tasks:
            for seed in range(6):
                env.reset(seed=seed, options={"task": task})
                paid.add(env.step("click_xpath \"//button[text()='Submit']\"")[1])
        found.append(paid)
    assert found[0] <= {1.0, -1.0}
    assert found[1] - {1.0, -1.0}


def test_the_terminal_is_not_particular(both):
    seen = []
    for env in both("terminal", action="program", horizon=9):
        observation, info = env.reset(seed=4)
        observation, *_ = env.step('click_xpath "//*[@id=\'terminal\']"\ntype "ls -la"\npress enter')
        outputs = re.findall(r'class="output"[^>]*>([^<]*)', observation["html"])
        ending = info["goal"].rsplit(".", 1)[1] if "extension ." in info["goal"] else ""
        name = next((one for one in outputs[2].split() if one.endswith(f".{ending}") if ending), None)
        *_, ended = env.step(f'type "rm -f {name}"\npress enter')
        seen.append((outputs[2], ended["success"]))
    assert seen[0][1]
    assert seen[1] == ("error: ls arguments not understood.", False)


def test_it_is_named_and_chosen_by_name(make):
    env = make("click-test", variant="synapse_compat")
    assert env.reset(seed=0)[1]["conditions"]["variant"] == "synapse_compat"
    with pytest.raises(ValueError, match="unknown variant 'easy'; choose one of stock, synapse_compat"):
        make("click-test", variant="easy")
    with pytest.raises(UserError, match=r"env\.variant"):
        compose(["env=miniwob", "env.variant=easy"])


def test_other_pages_are_as_ever(both):
    for task in ("click-button", "number-checkboxes", "email-inbox-star-reply"):
        changed, stock = both(task)
        assert pages(changed, task, 3) == pages(stock, task, 3)
