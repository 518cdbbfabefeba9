"""A scripted user: a closed-loop expert for the warm start, with a measured amount of carelessness."""

from collections.abc import Sequence
from random import Random
from typing import Any

from agentlab_runner.envs.android import tasks
from agentlab_runner.envs.android.actions import NAMES, Action, ActionType, AitwParser
from agentlab_runner.envs.android.device import TaskSpec
from agentlab_runner.envs.android.devices.sim import SimPhone
from agentlab_runner.envs.android.hand import BACKWARD, COMPLETE, FORWARD, HOME, Move, follow, perform, tap
from agentlab_runner.envs.android.sim import screen
from agentlab_runner.envs.android.sim.state import PhoneState

BESIDE = {"confirm": "cancel"}
"""Groups of widgets that stand side by side under different names."""
PLAN = 3
"""Moves an action plan names at most."""
KINDS = {
    "tap": ActionType.DualPoint,
    "swipe": ActionType.DualPoint,
    "type": ActionType.Type,
    "home": ActionType.GoHome,
    "back": ActionType.GoBack,
    "enter": ActionType.Enter,
    "complete": ActionType.TaskComplete,
}


def next_move(phone: SimPhone, task: TaskSpec) -> Move:
    """What an expert does now, from any state of the phone: `complete` once the task is done."""
    return _expert(phone.state, task)


def _expert(state: PhoneState, task: TaskSpec) -> Move:
    if tasks.success(task, state):
        return COMPLETE
    return follow(state, tasks.template_of(task).route(state, task))


class ScriptedUser:
    """Demonstrates tasks on the simulated phone; satisfies `runners.experiment.Demonstrator`.

    Args:
        slip: chance in [0, 1] that an episode of a careless template ends in that template's own mistake.
        slip_templates: the careless templates by name, `half` (every other template of each level) or `all`.
        wander: chance in [0, 1], at each step, of a harmless detour: scrolling, touching the status bar, going home
            from an app's first page.
        mistake: `own`: each template's own (some stop too early, some touch the neighbour of what was meant);
            `early`: all declare the task complete one step before it is.

    Raises:
        ValueError: for a chance outside [0, 1], an unknown template or an unknown mistake.
    """

    def __init__(
        self,
        slip: float = 0.0,
        slip_templates: Sequence[str] | str = "half",
        wander: float = 0.0,
        mistake: str = "own",
    ) -> None:
        for name, rate in (("slip", slip), ("wander", wander)):
            if not 0 <= rate <= 1:
                raise ValueError(f"{name} is {rate}, expected a probability between 0 and 1")
        if mistake not in ("own", "early"):
            raise ValueError(f"mistake is {mistake!r}; choose own or early")
        self.slip, self.wander, self.mistake = slip, wander, mistake
        self.careless = careless(slip_templates)
        self._sketch, self._trial = (SimPhone(popup_rate=0, slow_rate=0) for _ in range(2))
        self._rng = Random(0)
        self._slips = self._done = False

    def begin(self, env: Any, seed: int) -> None:
        """A fresh episode: decide whether it will end in a mistake."""
        task = env.unwrapped.task
        self._rng = Random(f"user {seed}")
        self._done = False
        self._slips = task.template in self.careless and self._rng.random() < self.slip

    def decide(self, env: Any) -> str:
        """The action text in the dialect of the environment's parser."""
        phone, task = env.unwrapped.device, env.unwrapped.task
        if not isinstance(phone, SimPhone):
            raise ValueError(f"the scripted user can only see through env/device=sim, not {type(phone).__name__}")
        detour = self._detour(phone.state)
        if detour is not None:
            return utterance([detour], env.unwrapped.parser)
        plan, self._done = self._plan(phone.state, task)
        return utterance(plan, env.unwrapped.parser)

    def _plan(self, state: PhoneState, task: TaskSpec) -> tuple[list[Move], bool]:
        """This user's next moves (at most PLAN), tried on a copy without pop-ups, and whether it is done after one."""
        moves: list[Move] = []
        believes = [self._done]
        _settle(self._sketch, state)
        while len(moves) < PLAN and COMPLETE not in moves:
            move, done = self._choose(self._sketch.state, task, believes[-1])
            moves.append(move)
            believes.append(done)
            perform(self._sketch, move)
        return moves, believes[1]

    def _choose(self, state: PhoneState, task: TaskSpec, done: bool) -> tuple[Move, bool]:
        """The move in this state, and whether this user then believes to be done without being so."""
        if done:
            return COMPLETE, True
        move = _expert(state, task)
        if self._slips and self._achieves(state, task, move):
            return self._mistake(state, task, move), True
        return move, False

    def _achieves(self, state: PhoneState, task: TaskSpec, move: Move) -> bool:
        _settle(self._trial, state)
        perform(self._trial, move)
        return tasks.success(task, self._trial.state)

    def _mistake(self, state: PhoneState, task: TaskSpec, move: Move) -> Move:
        """The template's mistake in place of the move that would have done it."""
        if "early" in (self.mistake, tasks.template_of(task).slip) or move.kind != "tap":
            return COMPLETE
        seen = [widget for widget in screen.visible(screen.widgets(state)) if widget.on_tap]
        target = next(widget for widget in seen if tap(widget) == move)
        group, (x, y) = target.id.split("/")[0], target.centre
        near = [w for w in seen if w is not target and w.id.split("/")[0] in (group, BESIDE.get(group))]
        return (
            tap(min(near, key=lambda w: (abs(w.centre[0] - x) + abs(w.centre[1] - y), w.centre))) if near else COMPLETE
        )

    def _detour(self, state: PhoneState) -> Move | None:
        if self._rng.random() >= self.wander or self._done or state.loading or state.popup or state.focus:
            return None
        choices = [FORWARD, BACKWARD, Move("tap", 0.5, 0.0175)]
        if state.page.name == "root":
            choices.append(HOME)
        return choices[int(self._rng.random() * len(choices))]


def careless(which: Sequence[str] | str) -> frozenset[str]:
    """Names of the templates on which a user slips."""
    if which == "all":
        return frozenset(tasks.TEMPLATES)
    if which == "half":
        return frozenset(
            name for level in (1, 2, 3) for name in [t.name for t in tasks.TEMPLATES.values() if t.level == level][::2]
        )
    names = [which] if isinstance(which, str) else list(which)
    for name in names:
        if name not in tasks.TEMPLATES:
            raise ValueError(
                f"slip_templates names {name!r}, which is no task template; "
                f"choose all, half or some of {', '.join(tasks.TEMPLATES)}"
            )
    return frozenset(names)


def _settle(phone: SimPhone, state: PhoneState) -> None:
    """Put a copy of a state on a phone where nothing comes up by chance."""
    phone.state = state.copy()
    phone.state.popup_rate = phone.state.slow_rate = 0.0


def utterance(plan: Sequence[Move], parser: AitwParser) -> str:
    """The first of the planned moves as the parser's dialect writes it, after a plan that names the types of all."""
    kinds = ", ".join(NAMES[KINDS[move.kind]] for move in plan)
    move, touch = plan[0], (plan[0].y, plan[0].x)
    if move.kind == "tap":
        action = Action(ActionType.DualPoint, touch, touch)
    elif move.kind == "swipe":
        action = Action(ActionType.DualPoint, touch, (move.y1, move.x1))
    else:
        action = Action(KINDS[move.kind], text=move.text)
    return f"Action Plan: [{kinds}] {parser.render(action)}"
