"""The home every episode begins in: our own small apartment, with the ids the tasks' things have in VirtualHome's."""

from agentlab_runner.envs.virtualhome.graph import AGENT, Edge, Graph, Node

_ROOMS = {11: "kitchen", 172: "bathroom", 210: "bedroom", 267: "livingroom"}
_SURFACE, _GRAB, _BOX = frozenset({"SURFACES"}), frozenset({"GRABBABLE"}), frozenset({"CAN_OPEN", "CONTAINERS"})
_THINGS: dict[int, tuple[str, int, frozenset[str], str]] = {
    # id: class, where it stands (in a room, on or in another thing), properties, state
    100: ("kitchencounter", 11, _SURFACE, ""),
    101: ("kitchentable", 11, _SURFACE, ""),
    102: ("fridge", 11, _BOX, "CLOSED"),
    103: ("sink", 11, frozenset(), ""),
    104: ("stove", 11, _SURFACE, ""),
    109: ("microwave", 100, _BOX | {"HAS_SWITCH"}, "CLOSED"),
    62: ("pancake", 104, _GRAB, ""),
    61: ("chips", 101, _GRAB, ""),
    46: ("milk", 100, _GRAB, ""),
    110: ("juice", 102, _GRAB, ""),
    173: ("bathtub", 172, frozenset({"SITTABLE"}), ""),
    174: ("towel", 172, _GRAB, ""),
    211: ("bed", 210, frozenset({"SITTABLE"}), ""),
    212: ("nightstand", 210, _SURFACE, ""),
    213: ("book", 212, _GRAB, ""),
    268: ("coffeetable", 267, _SURFACE, ""),
    269: ("tvstand", 267, _SURFACE, ""),
    297: ("tv", 269, frozenset({"HAS_SWITCH", "LOOKABLE"}), "OFF"),
    274: ("sofa", 267, frozenset({"SITTABLE"}), ""),
    276: ("sofa", 267, frozenset({"SITTABLE"}), ""),
}
_FACING: set[Edge] = {(276, "FACING", 297)}
"""Of the two sofas one stands before the television."""


def apartment() -> Graph:
    """A fresh copy: four rooms, the agent in the kitchen."""
    nodes = {AGENT: Node("character", "Characters")}
    nodes |= {i: Node(name, "Rooms") for i, name in _ROOMS.items()}
    edges: set[Edge] = {(AGENT, "INSIDE", 11), *_FACING}
    for i, (name, place, properties, state) in _THINGS.items():
        nodes[i] = Node(name, "Objects", properties, {state} if state else set())
        inside = place in _ROOMS or name == "juice"
        edges.add((i, "INSIDE" if inside else "ON", place))
    nodes[109].states.add("OFF")
    return Graph(nodes, edges)
