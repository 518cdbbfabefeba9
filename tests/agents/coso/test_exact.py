"""Exact counterfactuals with the real parser."""

import torch

from agentlab_runner.agents.coso.exact import hard_weights, soft_weights
from agentlab_runner.envs.android.actions import AitwParser
from tests.agents.coso.conftest import action_text

PARSER = AitwParser()


def parse(ids):
    return PARSER.parse("".join(map(chr, ids)))


def weigh(text: str) -> dict[int, float]:
    return dict(enumerate(hard_weights([ord(c) for c in text], parse, PARSER.same).tolist()))


def test_deleting_a_letter_of_the_type_or_the_typed_text_matters_and_of_the_plan_does_not():
    text = "Plan: find. " + action_text("TYPE", text="shoes")
    b = weigh(text)
    assert not any(b[i] for i in range(len("Plan: find. ")))
    assert all(b[i] for i in range(text.index("shoes"), text.index("shoes") + 5))
    assert b[text.index("TYPE") + 1] == 1


def test_coordinates_count_by_what_they_hit():
    text = action_text("DUAL_POINT", (0.5231, 0.5))
    b = weigh(text)
    at = text.index("0.5231")
    assert b[at + 5] == 0  # the fourth decimal moves the finger by nothing
    assert b[at + 1] == 1  # without its point the number is another place


def test_unparsable_text_has_no_weight():
    assert not hard_weights([ord(c) for c in "hello"], parse, PARSER.same).any()


def test_soft_weights_are_the_probability_of_another_action():
    ids = [0, 1]

    def of(tokens):
        return "b" if tokens[1] == 2 else "a"

    logits = torch.log(torch.tensor([[0.5, 0.3, 0.2], [0.1, 0.6, 0.3]]))
    b = soft_weights(ids, logits, 3, of, lambda x, y: x == y)
    torch.testing.assert_close(b, torch.tensor([0.0, 0.3]))
    torch.testing.assert_close(soft_weights(ids, logits, 2, of, lambda x, y: x == y), torch.tensor([0.0, 0.3 / 0.9]))
    torch.testing.assert_close(soft_weights(ids, logits, 1, of, lambda x, y: x == y), torch.zeros(2))
