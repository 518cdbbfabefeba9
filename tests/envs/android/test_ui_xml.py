"""The tree survives the trip through uiautomator's XML."""

import pytest

from agentlab_runner.envs.android.device import UiNode
from agentlab_runner.envs.android.ui_xml import from_xml, to_xml


def test_a_tree_comes_back_as_it_went():
    leaf = UiNode(
        "android.widget.EditText",
        (0, 10, 20, 30),
        text='a<b>&"é',
        resource_id="p:id/x",
        content_desc="d",
        clickable=True,
        focused=True,
    )
    tree = UiNode(
        "android.widget.FrameLayout",
        (0, 0, 100, 200),
        children=(leaf, UiNode("Switch", (-5, 0, 1, 1), checked=True, scrollable=True)),
    )
    assert from_xml(to_xml(tree)) == tree


def test_chatter_round_the_document_is_skipped_and_control_characters_left_out():
    node = UiNode("android.view.View", (0, 0, 1, 1), text="a\x00b")
    assert from_xml("WARNING: linker\n" + to_xml(node) + "UI hierchary dumped to: /dev/tty\n").text == "ab"


def test_several_windows_share_a_frame():
    text = '<hierarchy><node class="A" bounds="[0,0][10,20]"/><node class="B" bounds="[0,20][30,25]"/></hierarchy>'
    tree = from_xml(text)
    assert [child.class_name for child in tree.children] == ["A", "B"]
    assert tree.bounds == (0, 0, 30, 25)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ERROR: could not get idle state.",
        "<hierarchy><node></hierarchy>",
        '<hierarchy><node bounds="all"/></hierarchy>',
    ],
)
def test_a_broken_dump_is_refused_in_a_sentence(text):
    with pytest.raises(ValueError, match=r"hierarchy|well-formed|bounds"):
        from_xml(text)
