"""State abstraction (section 3.1 of the paper): what is left of a page, by the model or by a program that it writes."""

from agentlab_runner.agents.llm.programs.interpreter import variables
from agentlab_runner.agents.llm.programs.language import SIZE, Refused
from agentlab_runner.agents.synapse import messages
from agentlab_runner.agents.synapse.exemplars import Exemplars
from agentlab_runner.agents.synapse.soup import GIVEN


def filtered(reply: str, state: str) -> str | None:
    """What a code filter leaves of a page as `obs`; None if it fails, or leaves no text.

    Args:
        reply: the model's, a program in a fence or by itself.
        state: the page, which the program is given by that name.
    """
    try:
        left = variables(messages.fenced(reply) or reply, {"state": state, **GIVEN}).get("obs")
    except Refused:
        return None
    return left if isinstance(left, str) and len(left) <= SIZE else None


def by_example(exemplars: Exemplars) -> bool:
    """Whether the exemplars show what is left of a page, so that a model can be asked for the same."""
    return any(turn.obs is not None and turn.state is not None for demo in exemplars.demos for turn in demo.turns)
