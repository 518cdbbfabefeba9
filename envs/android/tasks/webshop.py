"""The three levels of AitW's web shopping: go to a site; search it; open the first entry."""

from agentlab_runner.envs.android.device import TaskSpec
from agentlab_runner.envs.android.hand import Fill, Route, Submit, Tap
from agentlab_runner.envs.android.sim import catalog
from agentlab_runner.envs.android.tasks.template import Template, here, via

SHOPS, ITEMS = tuple(catalog.SHOPS), tuple(catalog.ITEMS)


def _to_shop(task: TaskSpec) -> Route:
    return via("browser", ("browser.root", [Tap(f"site/{task['shop']}")]))


def _to_results(task: TaskSpec) -> Route:
    return (*_to_shop(task), (f"browser.home:{task['shop']}", [Fill("find", task["item"]), Submit("find")]))


def _results(task: TaskSpec) -> str:
    return f"browser.results:{task['shop']}|{task['item']}"


TEMPLATES = (
    Template(
        "shop_visit",
        1,
        ("Go to {shop}.com", "Open the {shop} website", "Visit {shop}.com in the browser"),
        {"shop": SHOPS, "start": ("home", "browser", "notes")},
        done=lambda state, task: here(state, f"browser.home:{task['shop']}"),
        route=lambda state, task: _to_shop(task),
        slip="neighbour",
    ),
    Template(
        "shop_search",
        2,
        ("Go to {shop}.com, search for {item}", "Search for {item} on {shop}.com", "Look for a {item} on {shop}"),
        {"shop": SHOPS, "item": ITEMS, "start": ("home", "browser")},
        held_out=("item",),
        done=lambda state, task: here(state, _results(task)),
        route=lambda state, task: _to_results(task),
    ),
    Template(
        "shop_open_first",
        3,
        (
            "Go to {shop}.com, search for {item}, select the first entry",
            "Open the first result for {item} on {shop}.com",
            "On {shop}, search for {item} and tap the first product",
        ),
        {"shop": SHOPS, "item": ITEMS},
        held_out=("item",),
        done=lambda state, task: here(state, f"browser.product:{task['shop']}|{task['item']}|0"),
        route=lambda state, task: (*_to_results(task), (_results(task), [Tap("result/0")])),
        slip="neighbour",
    ),
)
