"""Tasks about what is drawn."""

from collections.abc import Sequence

from agentlab_runner.envs.miniwob.experts.view import View, click, does, said
from agentlab_runner.envs.miniwob.primitives import Primitive

Moves = Sequence[Primitive]

DRAWN = """() => [...document.querySelectorAll('#area_svg > *')].map((one) => {
  const box = one.getBBox(), text = one.tagName === 'text' ? one.textContent : '';
  const name = { rect: 'rectangle', polygon: 'triangle' }[one.tagName] || one.tagName;
  return { kinds: text ? [/\\d/.test(text) ? 'digit' : 'letter', text] : ['shape', name],
           colour: one.getAttribute('fill'),
           size: (text ? one.getAttribute('font-size') === '20px' : box.width > 15) ? 'large' : 'small' };
})"""


def matching(view: View, description: str) -> list[int]:
    """Which of the drawn things are meant, from 1."""
    *before, kind = description.split()
    drawn = view.stage.page.evaluate(DRAWN)
    return [
        n for n, one in enumerate(drawn, 1)
        if (kind == "item" or kind in one["kinds"]) and all(word in (one["size"], one["colour"]) for word in before)
    ]  # fmt: skip


@does("click-shape")
def shape(view: View) -> Moves:
    found = matching(view, view.goal.removeprefix("Click on a "))
    return [click(f"//*[@id='area_svg']/*[{found[0]}]")]


@does("count-shape")
def number_of_shapes(view: View) -> Moves:
    found = matching(view, view.between("How many ", "s are there?"))
    return [click(f"//button[text()='{len(found)}']")]


@does("identify-shape")
def name_of_shape(view: View) -> Moves:
    (one,) = view.stage.page.evaluate(DRAWN)
    kind = one["kinds"][0] if one["kinds"][0] != "shape" else one["kinds"][1]
    return [click(f"//button[@data-type={said(kind)}]")]
