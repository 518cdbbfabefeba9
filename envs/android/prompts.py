"""What the agent reads: its last actions, the goal, and on request the screen's elements."""

from collections.abc import Callable, Iterator, Sequence

from agentlab_runner.envs.android.actions import Action, AitwParser, Point
from agentlab_runner.envs.android.device import UiNode

MAX_ELEMENTS = 32


def prompt(goal: str, actions: Sequence[Action], parser: AitwParser, last: int = 1, end: str = "") -> str:
    """Auto-UI's prompt: `Previous Actions: {last actions} Goal: {goal}`.

    Args:
        last: how many of the latest actions are shown (the release: 1).
        end: written after the goal (the release: `</s>`, T5's end of sequence).
    """
    shown = "".join(f"{parser.history(action)} " for action in actions[max(len(actions) - last, 0) :])
    return f"Previous Actions: {shown}Goal: {goal}{end}"


def elements(tree: UiNode, screen: tuple[int, int], point: Callable[[Point], str], cap: int = MAX_ELEMENTS) -> str:
    """The UI tree as a short list, one line an element: `[y, x] class "text"`, clickable ones first.

    [y, x] is the centre, written as the action format writes points, so that it can be tapped by copying it. A
    clickable element without words of its own takes those inside it. What has no words and takes no tap, and what lies
    outside the screen, is left out; so is everything after the first `cap` lines.
    """
    found = list(_elements(tree, screen, within=False))
    ordered = [node for node in found if node[0].clickable] + [node for node in found if not node[0].clickable]
    return "\n".join(_line(node, words, screen, point) for node, words in ordered[:cap])


def _elements(node: UiNode, screen: tuple[int, int], within: bool) -> Iterator[tuple[UiNode, str]]:
    words = node.text or node.content_desc
    if node.clickable:
        words = words or " ".join(_words(node))
    if _visible(node, screen) and (node.clickable or (words and not within)):
        yield node, words
    for child in node.children:
        yield from _elements(child, screen, within or node.clickable)


def _words(node: UiNode) -> Iterator[str]:
    for child in node.children:
        if child.text or child.content_desc:
            yield child.text or child.content_desc
        if not child.clickable:
            yield from _words(child)


def _visible(node: UiNode, screen: tuple[int, int]) -> bool:
    left, top, right, bottom = node.bounds
    x, y = (left + right) / 2, (top + bottom) / 2
    return left < right and top < bottom and 0 <= x < screen[0] and 0 <= y < screen[1]


def _line(node: UiNode, words: str, screen: tuple[int, int], point: Callable[[Point], str]) -> str:
    left, top, right, bottom = node.bounds
    centre = ((top + bottom) / 2 / screen[1], (left + right) / 2 / screen[0])
    marks = (" focused" if node.focused else "") + (" checked" if node.checked else "")
    return f'{point(centre)} {node.class_name.rsplit(".", 1)[-1]} "{" ".join(words.split())}"{marks}'
