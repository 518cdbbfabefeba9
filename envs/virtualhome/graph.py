"""A home as a graph: things, their states, and how they stand to each other. The JSON form is VirtualHome's."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

AGENT = 1
"""Id of the one who acts."""
ROOMS = ("kitchen", "bathroom", "bedroom", "livingroom")
"""Class names of the rooms, in the order in which observations list them."""
HOLDS = ("HOLDS_RH", "HOLDS_LH")
Edge = tuple[int, str, int]
"""Subject, relation, object: ON, INSIDE, CLOSE, FACING, HOLDS_RH or HOLDS_LH."""


@dataclass(slots=True)
class Node:
    """A thing, a room or the agent."""

    class_name: str
    category: str = ""
    properties: frozenset[str] = frozenset()
    states: set[str] = field(default_factory=set)


@dataclass(slots=True)
class Graph:
    """Nodes by id, and edges."""

    nodes: dict[int, Node]
    edges: set[Edge]

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> "Graph":
        """From VirtualHome's `nodes` (id, class_name, category, properties, states) and `edges` (from_id,
        relation_type, to_id).

        Raises:
            ValueError: naming what is missing.
        """
        try:
            nodes = {
                int(node["id"]): Node(
                    node["class_name"],
                    node.get("category", ""),
                    frozenset(node.get("properties", ())),
                    set(node.get("states", ())),
                )
                for node in plain["nodes"]
            }
            edges = {(int(e["from_id"]), str(e["relation_type"]), int(e["to_id"])) for e in plain["edges"]}
        except (KeyError, TypeError, ValueError) as fault:
            raise ValueError(
                f"this is no VirtualHome graph ({type(fault).__name__}: {fault}); expected nodes with id and "
                "class_name, and edges with from_id, relation_type and to_id"
            ) from fault
        if AGENT not in nodes:
            raise ValueError(f"the graph has no node {AGENT}, the character; add one to it")
        unknown = sorted({end for a, _, b in edges for end in (a, b)} - nodes.keys())
        if unknown:
            raise ValueError(f"the graph's edges name node {unknown[0]}, which it does not have")
        graph = cls(nodes, edges)
        rooms = sorted(nodes[i].class_name for i in graph.objects(AGENT, "INSIDE") if graph.is_room(i))
        if len(rooms) > 1:
            raise ValueError(f"the character is in {' and in '.join(rooms)} at once; leave one of these edges")
        return graph

    @classmethod
    def load(cls, file: str | Path) -> "Graph":
        """From a JSON file; VirtualHome's initial states (`init_graph`) are taken too.

        Raises:
            ValueError: if it cannot be read or is not a graph.
        """
        try:
            plain = json.loads(Path(file).read_text(encoding="utf-8"))
        except (OSError, ValueError) as fault:
            raise ValueError(f"the graph {file} cannot be read ({fault}); give a JSON file of VirtualHome") from fault
        return cls.of(plain.get("init_graph", plain) if isinstance(plain, dict) else {})

    def copy(self) -> "Graph":
        """A graph that changes by itself."""
        nodes = {i: Node(n.class_name, n.category, n.properties, set(n.states)) for i, n in self.nodes.items()}
        return Graph(nodes, set(self.edges))

    def has(self, subject: int, relation: str, thing: int) -> bool:
        return (subject, relation, thing) in self.edges

    def objects(self, subject: int, *relations: str) -> set[int]:
        """What the subject is ON, INSIDE, ... of."""
        return {b for a, relation, b in self.edges if a == subject and relation in relations}

    def subjects(self, thing: int, *relations: str) -> set[int]:
        """What is ON, INSIDE, ... of the thing."""
        return {a for a, relation, b in self.edges if b == thing and relation in relations}

    def drop(self, edges: Iterable[Edge]) -> None:
        self.edges -= set(edges)

    def is_room(self, node: int) -> bool:
        return self.nodes[node].class_name in ROOMS

    def room(self, node: int) -> int:
        """The room a thing is in, 0 if none."""
        seen: set[int] = set()
        waiting = [node]
        while waiting:
            here = waiting.pop()
            if self.is_room(here):
                return here
            seen.add(here)
            around = (self.objects(here, "ON"), self.objects(here, "INSIDE"), self.subjects(here, *HOLDS))
            waiting += [other for found in around for other in found - seen]  # the last of them decides
        return 0

    def held(self) -> set[int]:
        return self.objects(AGENT, *HOLDS)

    def sees(self, node: int) -> bool:
        """Rooms, what is held, and what is in the agent's room but not inside something closed."""
        if self.is_room(node) or node in self.held():
            return True
        if self.room(node) != self.room(AGENT):
            return False
        return not any("CLOSED" in self.nodes[outer].states for outer in self._containers(node))

    def _containers(self, node: int) -> set[int]:
        found: set[int] = set()
        waiting = [node]
        while waiting:
            outer = {b for b in self.objects(waiting.pop(), "INSIDE") if not self.is_room(b)} - found
            found |= outer
            waiting += outer
        return found

    def find(self, class_name: str, room: str = "") -> list[int]:
        """Ids of the things of a class, those in the room if one is named; never by number, which scenes change."""
        found = [i for i, node in self.nodes.items() if node.class_name == class_name]
        return sorted(i for i in found if not room or self.nodes.get(self.room(i), Node("")).class_name == room)
