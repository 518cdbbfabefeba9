"""What the model is told, message by message: section 3 of the paper, in the form of the released prompts."""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from agentlab_runner.agents.llm.chat.types import Message
from agentlab_runner.agents.synapse.exemplars import Demo, Exemplars, Turn, words_of

Kind = Literal["state_act", "multi_state_act", "obs_act", "multi_obs_act"]

FENCE = re.compile(r"```(?:[A-Za-z]*\n|python\s)?(.*?)\n?```", re.DOTALL)
"""As the original's, but that what stands on the fence's own line is no label: there it would lose its first word."""
STOP = ("Observation:",)
FIRST_FILTER_STOP = ("Action:", "Output:", "State:")
FALLBACK_FILTER_STOP = ("Action:",)
ONE_DEMO = ("login-user-popup", "terminal", "use-autocomplete")
"""Tasks whose whole pages are long: of these one trajectory is shown."""


def kind(exemplars: Exemplars, filtered: bool, alone: Kind = "state_act") -> Kind:
    """How the exemplars of a task are shown.

    Args:
        filtered: pages are abstracted.
        alone: how it is where there are none.
    """
    if not exemplars.demos:
        return alone
    first = exemplars.demos[0]
    if first.is_trajectory:
        return "multi_obs_act" if filtered and first.turns[0].obs is not None else "multi_state_act"
    return "obs_act" if filtered and first.turns[0].obs is not None else "state_act"


def conversation(
    system: str, task_name: str, how: Kind, exemplars: Exemplars, goal: str, past: Sequence[Turn], now: str
) -> list[Message]:
    """Everything up to the action that is wanted.

    Args:
        system: the action language.
        past: what was seen and done in this episode; its `obs` is what stood there then.
        now: what is seen, abstracted or not.
    """
    said = [Message("system", (system,))]
    if how == "state_act" and exemplars.act_prompt is not None:
        said.append(Message("user", (exemplars.act_prompt,)))
    for demo in shown(task_name, how, exemplars):
        said += _demonstrated(demo, how)
    if how.startswith("multi"):
        said.append(_begun(goal))
    for turn in past:
        said += [_seen(turn.obs or ""), _acted(turn.act)]
    return [*said, _seen(now)]


def shown(task_name: str, how: Kind, exemplars: Exemplars) -> list[Demo]:
    """The demonstrations that have what is to be shown of them."""
    wanted = "state" if how.endswith("state_act") else "obs"
    demos = [demo for demo in exemplars.demos if all(getattr(turn, wanted) is not None for turn in demo.turns)]
    return demos[:1] if how == "multi_state_act" and task_name in ONE_DEMO else demos


def of_goals(exemplars: Exemplars) -> Exemplars:
    """The exemplars of a task with nothing shown of their pages but the words of their tasks."""
    demos = tuple(
        replace(demo, turns=tuple(replace(turn, obs=words_of(demo)) for turn in demo.turns))
        for demo in exemplars.demos
    )
    return replace(exemplars, demos=demos)


def in_pairs(exemplars: Exemplars) -> Exemplars:
    """The exemplars of a task without their trajectories: every turn by itself."""
    demos = tuple(Demo((turn,), demo.task) for demo in exemplars.demos for turn in demo.turns)
    return replace(exemplars, demos=demos)


def abstraction(exemplars: Exemplars, step: int, state: str, prompted: bool) -> list[Message]:
    """Asks for the observation of a page by pairs of pages and observations.

    Args:
        prompted: begin with the task's `filter_prompt`: of single steps, and wherever it is the fall-back.
    """
    pairs = ""
    for demo in exemplars.demos:
        if step < len(demo.turns) and (turn := demo.turns[step]).state is not None and turn.obs is not None:
            pairs += f"State:\n{turn.state}\nObservation:\n{turn.obs}\n\n"
    first = exemplars.step(exemplars.filter_prompt, step) if prompted else ""
    return [Message("user", (f"{first}{pairs}State:\n{state}\nObservation:",))]


def code_for(exemplars: Exemplars, step: int, goal: str, state: str) -> list[Message] | None:
    """Asks for a program that makes the observation; None where none is asked for."""
    wanted = exemplars.step(exemplars.code_filter_prompt, step)
    return [Message("user", (wanted.replace("<task>", goal).replace("<state>", state),))] if wanted else None


def fenced(reply: str) -> str:
    """The first fenced block of a reply; "" if it has none."""
    found = FENCE.search(reply)
    return found[1] if found else ""


def specifier(goal: str, state: str) -> str:
    """What a page is looked up by."""
    return f"Task: {goal}\nState:\n{state}"


def _demonstrated(demo: Demo, how: Kind) -> list[Message]:
    said = [_begun(demo.task)] if demo.is_trajectory else []
    for turn in demo.turns:
        said += [_seen((turn.state if how.endswith("state_act") else turn.obs) or ""), _acted(turn.act)]
    return said


def _begun(task: str | None) -> Message:
    return Message("user", (f"Task: {task}\nTrajectory:",))


def _seen(text: str) -> Message:
    return Message("user", (f"Observation:\n{text}\nAction:",))


def _acted(program: str) -> Message:
    return Message("assistant", (f"```\n{program}\n```",))
