"""What may be spent: caps before a request, costs that somebody states, and what is told when one of several fails."""

import pytest

from agentlab_runner.agents.llm.chat.budget import CapReached, Spent
from agentlab_runner.agents.llm.chat.request import Request
from agentlab_runner.runners.errors import RunFailed
from tests.agents.llm.chat.conftest import ask, endpoint, user
from tests.agents.llm.chat.fault_server import Answer, completion, refusal


def test_caps_are_kept_before_a_request(server):
    server.say = lambda body: completion("yes", usage=(10, 5))
    model = endpoint(server, max_calls=2)
    ask(model)
    ask(model)
    with pytest.raises(CapReached, match=r"could pass model\.max_calls=2 \(2 so far\); what was answered is kept"):
        ask(model)
    assert len(server.seen) == 2

    model = endpoint(server, price_in=0.0, price_out=1e6, max_cost=12.0)  # 5 an answer, 8 at most
    ask(model)
    with pytest.raises(CapReached, match=r"model\.max_cost=12 \(5 so far\)"):
        ask(model)

    model = endpoint(server, max_tokens_per_run=70)
    found = {}
    with pytest.raises(CapReached):
        _gather(model, 12, found)
    assert 2 <= len(found) <= 5  # those under way were told
    assert model.budget.spent == Spent(len(found), 15 * len(found), 0.0)


def test_a_cap_holds_where_nobody_says_a_price(server, caplog):
    server.say = lambda body: completion("yes", usage=(100_000, 1_000))
    model = endpoint(server, max_cost=2.0)
    assert ask(model).cost == pytest.approx(1.5 + 0.075)
    assert "counted at 15 and 75 dollars for a million tokens" in caplog.text
    assert ask(model).cost > 0
    with pytest.raises(CapReached, match=r"max_cost=2 \(3\.15 so far\), counted at 15 and 75 a million tokens until"):
        ask(model)
    assert ask(endpoint(server)).cost == 0, "no cap, no price"


@pytest.mark.parametrize("stated", [0.25, 0, float("inf"), float("nan"), -1, "1", True, None])
def test_a_server_may_state_the_cost_and_the_config_wins(server, stated):
    def say(body):
        said = completion("yes", usage=(1_000_000, 0))
        said["usage"]["cost"] = stated
        return said

    server.say = say
    believed = type(stated) in (int, float) and 0 <= stated < 1
    assert ask(endpoint(server)).cost == (stated if believed else 0)
    assert ask(endpoint(server, max_cost=90.0)).cost == (stated if believed else 15)
    assert ask(endpoint(server, price_in=3.0, price_out=0.0)).cost == 3


def test_a_lost_answer_may_have_been_paid(server):
    server.script = [Answer(completion("late"), silent=1.0)]
    model = endpoint(server, price_in=0.0, price_out=1e6, max_cost=20.0, timeout=0.3)
    model.check()
    assert ask(model).cost == 2
    assert model.budget.spent.cost == 10  # 8 at most for the lost one
    server.script = [Answer(completion("late"), silent=1.0)] * 2
    with pytest.raises(CapReached):
        ask(model)


def test_when_one_fails_those_under_way_are_told_first(server):
    def say(body):
        if body["messages"][0]["content"] == "0":
            return refusal("what?", 400)
        return Answer(completion("fine"), silent=0.3)

    server.say = say
    model = endpoint(server, parallel=4)
    ask(model, "first")
    found = {}
    with pytest.raises(RunFailed, match="answered 400: what"):
        _gather(model, 12, found)
    assert set(found) >= {1, 2, 3}
    assert len(server.seen) < 13


def _gather(model, count, found):
    for place, reply in model.replies([Request(tuple(user(str(i))), 8, True) for i in range(count)]):
        found[place] = reply


# -- addresses, keys, models -------------------------------------------------------------------------------------------
