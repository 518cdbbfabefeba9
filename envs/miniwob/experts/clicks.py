"""Tasks that are done by clicking what the task names."""

from collections.abc import Sequence

from agentlab_runner.envs.miniwob.experts.view import BUTTON, SUBMIT, View, choose, click, does, hover, press, said
from agentlab_runner.envs.miniwob.primitives import Primitive

Moves = Sequence[Primitive]


@does("click-test")
def only_button(view: View) -> Moves:
    return [BUTTON]


@does("click-test-2", "click-test-transfer")
def button_by_name(view: View) -> Moves:
    return [click(f"//button[text()={said(view.between('button ', '.'))}]")]


@does("click-button-sequence")
def buttons_in_turn(view: View) -> Moves:
    return [click("//button[text()='ONE']"), click("//button[text()='TWO']")]


@does("click-button", "unicode-test")
def button(view: View) -> Moves:
    return [click(f"//button[text()={said(view.quoted[0])}]")]


@does("click-link")
def link(view: View) -> Moves:
    return [click(f"//*[@class='alink'][text()={said(view.quoted[0])}]")]


@does("click-tab")
def tab(view: View) -> Moves:
    return [click(f"//a[text()={said(view.between('Click on ', '.'))}]")]


@does("click-dialog", "click-dialog-2")
def dialog(view: View) -> Moves:
    label = view.quoted[0]
    return [click("//button[@title='Close']" if label == "x" else f"//button[text()={said(label)}]")]


@does("click-option")
def option(view: View) -> Moves:
    return [click(f"//label[text()={said(view.between('Select ', ' and click'))}]/input"), SUBMIT]


@does("click-checkboxes", "click-checkboxes-large", "click-checkboxes-transfer")
def boxes(view: View) -> Moves:
    names = view.between("Select ", " and click").split(", ")
    return [*(click(f"//label[text()={said(name)}]/input") for name in names if name != "nothing"), SUBMIT]


@does("click-checkboxes-soft")
def boxes_alike(view: View) -> Moves:
    alike: list[list[str]] = view.stage.page.evaluate("() => SYNONYMS")
    asked = view.between("similar to ", " and click").split(", ")
    meant = {word for words in alike for word in words if any(name in words for name in asked)}
    return [*(click(f"//label[text()={said(name)}]/input") for name in view.read("//label") if name in meant), SUBMIT]


@does("click-color")
def colour(view: View) -> Moves:
    return [click(f"//*[@data-color={said(view.between('Click on the ', ' colored box'))}]")]


@does("click-shades")
def shades(view: View) -> Moves:
    return [click(f"//span[@data-color={said(view.between('shades of ', ' and press'))}]"), SUBMIT]


@does("click-widget")
def widget(view: View) -> Moves:
    return [click(f"(//*[@data-type={said(view.quoted[0])}])[1]")]


@does("focus-text")
def field(view: View) -> Moves:
    return [click("//input")]


@does("focus-text-2")
def field_by_order(view: View) -> Moves:
    return [click(f"(//input)[{view.between('the ', ' input')[0]}]")]


@does("grid-coordinate")
def point(view: View) -> Moves:
    return [click(f"//*[@id={said(view.between('coordinate ', '.'))}]")]


@does("click-collapsible", "click-collapsible-nodelay")
def section(view: View) -> Moves:
    return [click("//h3"), BUTTON]


@does("click-collapsible-2", "click-collapsible-2-nodelay")
def link_in_section(view: View) -> Moves:
    wanted, panel = f"//span[@class='alink'][text()={said(view.quoted[0])}]", "//div[@role='tabpanel']"
    if view.count(f"{panel}[@aria-hidden='false']{wanted}"):
        return [click(f"({panel}[@aria-hidden='false']{wanted})[1]")]
    if view.whole:  # the html has what is folded away
        return [click(f"({panel}[.{wanted}]/preceding-sibling::h3[1])[1]"), click(f"({wanted})[1]")]
    return [click(f"(//h3)[{_after_open(view, '//h3', 'aria-expanded')}]")]


@does("click-tab-2", "click-tab-2-easy", "click-tab-2-medium", "click-tab-2-hard")
def link_in_tab(view: View) -> Moves:
    wanted, panel = f"//span[@class='alink'][text()={said(view.quoted[0])}]", "//div[@role='tabpanel']"
    if view.count(f"{panel}[@aria-hidden='false']{wanted}"):
        return [click(f"({panel}[@aria-hidden='false']{wanted})[1]")]
    if view.whole and view.count(wanted):
        return [click(f"//a[@href=concat('#', {panel}[.{wanted}]/@id)]"), click(f"({wanted})[1]")]
    tabs = "//li[@role='tab']"
    return [click(f"({tabs})[{_after_open(view, tabs, 'aria-selected')}]/a")]


def _after_open(view: View, xpath: str, attribute: str) -> int:
    """The one after that which is open, from 1."""
    states = view.read(xpath, attribute)
    return states.index("true") + 2 if "true" in states else 1


@does("click-scroll-list", "choose-list")
def from_list(view: View) -> Moves:
    names = view.between("Select ", " from the ").split(", ")
    known = view.read("//option")
    if any(name not in known for name in names):  # one with a comma
        names = [", ".join(names)]
    return [*(choose(f"//option[text()={said(name)}]") for name in names), SUBMIT]


@does("click-menu")
def menu(view: View) -> Moves:
    *above, last = view.goal.removeprefix("Select ").split(">")
    return [*(hover(f"//div[text()={said(name)}]") for name in above), click(f"//div[text()={said(last)}]")]


@does("navigate-tree")
def tree(view: View) -> Moves:
    wanted = f"//span[text()={said(view.quoted[0])}]"
    if view.whole:
        folders = [f"//*[@id='tree']{'/ul/li' * depth}".replace("']/ul/li", "']/li", 1) for depth in (1, 2)]
        closed = [f"{path}[ul{wanted}]/span" for path in folders]
        return [*(click(path) for path in closed if view.count(path)), click(f"({wanted})[1]")]
    shown = "[not(ancestor::ul[contains(@style, 'display: none')])]"
    if view.count(f"{wanted}{shown}"):
        return [click(f"({wanted}{shown})[1]")]
    return [click(f"(//li[contains(@class, 'expandable')]{shown}/span)[1]")]


@does("use-spinner")
def spinner(view: View) -> Moves:
    by = int(view.between("Select ", " with")) - int(view.read("//*[@id='spinner']", "value")[0] or 0)
    arrow = f"//a[contains(@class, 'ui-spinner-{'up' if by > 0 else 'down'}')]"
    return [*[click(arrow)] * abs(by), BUTTON]


@does("use-slider")
def slider(view: View) -> Moves:
    by = int(view.between("Select ", " with")) - int(view.read("//*[@id='val']")[0])
    key = press("arrowright" if by > 0 else "arrowleft")
    return [click("//span[contains(@class, 'ui-slider-handle')]"), *[key] * abs(by), BUTTON]


@does("social-media")
def post(view: View) -> Moves:
    user, action = view.between("For the user ", ", click"), view.quoted[0]
    within = f"(//div[@class='media'][.//span[@class='username'][text()={said(user)}]])[1]"
    if action in ("Reply", "Retweet", "Like"):
        return [click(f"{within}//span[@class='{action.lower()}']")]
    return [click(f"{within}//span[@class='more']"), click(f"{within}//li[starts-with(text(), {said(action)})]")]


@does("social-media-all", "social-media-some")
def posts(view: View) -> Moves:
    action, user = view.quoted[0], view.between(" by ", " and then")
    buttons = f"//div[@class='media'][.//span[text()={said(user)}]]//span[@class='{action.lower()}']"
    if " on all " not in view.goal:
        buttons = f"({buttons})[position() <= {view.between('button on ', ' post')}]"
    return [click(buttons), SUBMIT]
