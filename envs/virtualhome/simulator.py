"""What a script line does to a home: the few verbs of VirtualHome's graph simulator that the tasks need."""

from collections.abc import Callable

from agentlab_runner.envs.virtualhome.apartment import apartment
from agentlab_runner.envs.virtualhome.graph import AGENT, HOLDS, Graph


class GraphHousehold:
    """A home simulated as a graph, without Unity.

    An action that cannot be done changes nothing and answers False, as VirtualHome's does: something not in sight, not
    close, not held, closed, open already, or no free hand.

    Args:
        worker: whose home it is; they are all alike.
        graph: a VirtualHome JSON file; None is our own apartment.

    Raises:
        ValueError: if the file cannot be read or is no graph.
    """

    blocking = False

    def __init__(self, worker: int = 0, graph: str | None = None) -> None:
        self._start = Graph.load(graph) if graph else apartment()
        self._verbs: dict[str, Callable[..., bool]] = {
            "walk": self._walk,
            "grab": self._grab,
            "putin": self._put_in,
            "putback": self._put_on,
            "open": self._open,
            "close": self._close,
            "switchon": self._switch_on,
            "switchoff": self._switch_off,
            "sit": self._sit,
            "standup": self._stand_up,
        }
        self.reset()

    def reset(self, strict_original: bool = False) -> Graph:
        """The home as an episode begins, the agent in its kitchen.

        With `strict_original` four rules are the release's own slips: who sits cannot walk; who stood up counts as
        sitting wherever that seat is in sight; what rests on a thing one walks to is within reach but not called close;
        and walking to what one holds leads to the room the last walk began in.
        """
        self.graph = self._start.copy()
        self._strict = strict_original
        self._left: dict[int, int] = {}
        return self.graph

    def do(self, verb: str, *things: int) -> tuple[Graph, bool]:
        """The home after a script line, and whether it could be done.

        Raises:
            ValueError: if there is no such verb.
        """
        if verb not in self._verbs:
            raise ValueError(f"the simulator knows no verb {verb!r}; it knows {', '.join(self._verbs)}")
        done = all(self.graph.sees(thing) for thing in things) and self._verbs[verb](*things)
        return self.graph, done

    def close(self) -> None:
        """Nothing is open."""

    def _walk(self, target: int) -> bool:
        graph, strict = self.graph, self._strict
        if strict and "SITTING" in graph.nodes[AGENT].states:
            return False
        room, began = self._left.get(target) or graph.room(target), graph.room(AGENT)
        kept = {*HOLDS, "ON"} if strict else HOLDS
        graph.drop({edge for edge in graph.edges if edge[0] == AGENT and edge[1] not in kept})
        graph.nodes[AGENT].states.discard("SITTING")
        graph.edges.add((AGENT, "INSIDE", room))
        near = set(graph.held())
        if strict:
            self._left = dict.fromkeys(near, began)
        if target != room:
            supports = {b for b in graph.objects(target, "ON", "INSIDE") if not graph.is_room(b)}
            resting = {a for a in graph.subjects(target, "ON", "INSIDE") if graph.sees(a)}
            if strict and "CAN_OPEN" not in graph.nodes[target].properties:
                resting = set()
            near |= {target} | supports | resting
        self._come_close(near)
        return True

    def _come_close(self, things: set[int]) -> None:
        self.graph.edges |= {(AGENT, "CLOSE", thing) for thing in things}

    def _is_close(self, thing: int) -> bool:
        """Close by name or, in the release, on something that is."""
        below = self.graph.objects(thing, "ON") if self._strict else ()
        return any(self.graph.has(AGENT, "CLOSE", near) for near in (thing, *below))

    def _free_hands(self) -> list[str]:
        return [hand for hand in HOLDS if not self.graph.objects(AGENT, hand)]

    def _grab(self, thing: int) -> bool:
        graph, hands = self.graph, self._free_hands()
        if not hands or not self._is_close(thing) or thing in graph.held():
            return False
        if "GRABBABLE" not in graph.nodes[thing].properties:
            return False
        graph.drop((thing, relation, b) for relation in ("ON", "INSIDE") for b in graph.objects(thing, relation))
        graph.edges.add((AGENT, hands[0], thing))
        self._come_close({thing})
        return True

    def _put_in(self, thing: int, container: int) -> bool:
        if "CLOSED" in self.graph.nodes[container].states:
            return False
        return self._put(thing, "INSIDE", container)

    def _put_on(self, thing: int, surface: int) -> bool:
        return self._put(thing, "ON", surface)

    def _put(self, thing: int, relation: str, place: int) -> bool:
        graph = self.graph
        if thing not in graph.held() or not self._is_close(place):
            return False
        graph.drop((AGENT, hand, thing) for hand in HOLDS)
        graph.edges.add((thing, relation, place))
        self._left.pop(thing, None)
        return True

    def _open(self, thing: int) -> bool:
        return bool(self._free_hands()) and self._change(thing, "CAN_OPEN", "CLOSED", "OPEN")

    def _close(self, thing: int) -> bool:
        return bool(self._free_hands()) and self._change(thing, "CAN_OPEN", "OPEN", "CLOSED")

    def _switch_on(self, thing: int) -> bool:
        return bool(self._free_hands()) and self._change(thing, "HAS_SWITCH", "OFF", "ON")

    def _switch_off(self, thing: int) -> bool:
        return bool(self._free_hands()) and self._change(thing, "HAS_SWITCH", "ON", "OFF")

    def _change(self, thing: int, ability: str, before: str, after: str) -> bool:
        node = self.graph.nodes[thing]
        if not self._is_close(thing) or ability not in node.properties or before not in node.states:
            return False
        node.states.remove(before)
        node.states.add(after)
        return True

    def _sit(self, seat: int) -> bool:
        graph = self.graph
        if not self._is_close(seat) or "SITTABLE" not in graph.nodes[seat].properties:
            return False
        if "SITTING" in graph.nodes[AGENT].states:
            return False
        graph.nodes[AGENT].states.add("SITTING")
        graph.edges.add((AGENT, "ON", seat))
        graph.edges |= {(AGENT, "FACING", thing) for thing in graph.objects(seat, "FACING")}
        return True

    def _stand_up(self) -> bool:
        """The agent stands, but is still where it sat, facing what it faced, until it walks."""
        states = self.graph.nodes[AGENT].states
        if "SITTING" not in states:
            return False
        states.remove("SITTING")
        return True

