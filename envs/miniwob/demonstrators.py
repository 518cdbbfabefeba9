"""A scripted user of web pages, for warm starts and memories; it plays training's pages alone."""

from collections.abc import Sequence
from typing import Any

from agentlab_runner.envs.miniwob import primitives
from agentlab_runner.envs.miniwob.experts import clicks, drawings, forms  # noqa: F401 - they say what they can
from agentlab_runner.envs.miniwob.experts.view import EXPERTS, View
from agentlab_runner.envs.miniwob.primitives import Primitive

FIND = """(xpath) => (lab.aim(xpath).matches || []).map((one, n) => {
  const element = lab.select(xpath)[n], list = element.closest('select');
  return { ref: +(element.dataset.wob_ref ?? 0), shown: one.point !== null, text: element.text,
           list: list && +(list.dataset.wob_ref ?? 0),
           field: element.matches('input:not([type=date]):not([type=time]), textarea') };
})"""


ALIKE = """(ref) => lab.target(ref).flatMap((one) => {
  const text = (one.innerText || '').trim(), kin = [one, ...one.querySelectorAll('*')];
  for (let up = one.parentElement; up; up = up.parentElement) kin.push(up);
  const same = kin.filter((other) => text && (other.innerText || '').trim() === text);
  return [one.control, ...same].filter((other) => other?.dataset.wob_ref).map((other) => +other.dataset.wob_ref);
})"""


class Demonstrator:
    """Does tasks as an experienced user; satisfies `runners.experiment.Demonstrator`.

    With `action=program` it writes a block of primitives with xpaths, up to where something is needed that is not on
    the page yet; with the other actions one primitive a step, of what the screen shows.
    """

    def __init__(self) -> None:
        self._left: list[Primitive] = []
        """What is still to be done before the page is looked at again."""

    def begin(self, env: Any, seed: int) -> None:
        """A fresh episode.

        Raises:
            ValueError: if its task is none that is known here, or its page is one for testing.
        """
        page = env.unwrapped
        if page.split == "test":
            raise ValueError(
                "the demonstrator plays no pages for testing; set warm_start.env.split=demonstrations, or train"
            )
        if page.task not in EXPERTS:
            known = ", ".join(sorted(EXPERTS))
            raise ValueError(f"nobody demonstrates {page.task!r}; leave it out of env.tasks, or choose of {known}")
        self._left = []

    def decide(self, env: Any) -> str:
        """The block to be done now.

        Raises:
            ValueError: if it is none of the phrases that are offered.
        """
        page = env.unwrapped
        if not self._left:
            view = View(page.goal, page.stage, page.seen["fields"] or {}, page.action == "program")
            self._left = list(EXPERTS[page.task](view))
        return self._block(page) if page.action == "program" else self._primitive(page)

    def _block(self, page: Any) -> str:
        """What finds its elements on the page as it is, and at least one primitive."""
        known = 1
        while known < min(len(self._left), primitives.LONGEST) and _is_there(page, self._left[known]):
            known += 1
        block, self._left = self._left[:known], self._left[known:]
        return primitives.write(block)

    def _primitive(self, page: Any) -> str:
        meant = self._next(page)
        if page.action != "phrases":
            return str(meant)
        for same in (meant, *_alike(page, meant)):
            for action in page.offered.values():
                if primitives.read(action) == (same,):
                    return str(action)
        raise ValueError(
            f"the demonstrator of {page.task} does {meant}, which is none of the phrases of this page; choose "
            "env.action=utterances or program, or leave the task out"
        )

    def _next(self, page: Any) -> Primitive:
        """The first of what is left, by number where it has an xpath."""
        first, *self._left = self._left
        if first.name in ("press", "type") or not isinstance(first.arguments[0], str):
            return first
        found = page.stage.page.evaluate(FIND, first.arguments[0])
        shown = [one for one in found if one["shown"]] or found
        if not shown:
            raise ValueError(f"the demonstrator of {page.task} does not find {first.arguments[0]}")
        one, ref = shown[0], shown[0]["ref"]
        if first.name == "movemouse":
            return Primitive("hover", (ref,))
        if first.name == "click_option":
            return Primitive("select", (one["list"], one["text"]))
        if one["field"] and (text := self._typed()) is not None:
            return Primitive("type", (ref, text))
        self._left[:0] = [Primitive("click", (other["ref"],)) for other in shown[1:]]
        return Primitive("click", (ref,))

    def _typed(self) -> str | None:
        """What is written next, into the field that is gone to; a field is always written anew."""
        ahead = [one for one in self._left[:2] if one != Primitive("press", ("command+a",))]
        if not ahead or ahead[0].name != "type":
            return None
        del self._left[: self._left.index(ahead[0]) + 1]
        return str(ahead[0].arguments[0])


def _alike(page: Any, meant: Primitive) -> list[Primitive]:
    """Clicks that do the same: on what a label labels, on what holds it or lies in it and says the same."""
    if meant.name != "click":
        return []
    refs: Sequence[int] = page.stage.page.evaluate(ALIKE, meant.arguments[0])
    return [Primitive("click", (int(ref),)) for ref in refs]


def _is_there(page: Any, primitive: Primitive) -> bool:
    """Whether what it acts on is on the page."""
    if primitive.name in ("press", "type"):
        return True
    found: Sequence[str] = page.stage.page.evaluate("(xpath) => lab.select(xpath).map(String)", primitive.arguments[0])
    return bool(found)
