"""A memory as one would first write it: lists, one record after the other; a slow way to the same answers."""

import math
from dataclasses import dataclass, field

import numpy as np

from agentlab_runner.agents.memory.record import Record


@dataclass
class PlainMemory:
    """Pairs of record and vector; a layer is a list behind another list."""

    embedder: object
    below: list[tuple[Record, list[float]]] = field(default_factory=list)
    own: list[tuple[Record, list[float]]] = field(default_factory=list)

    @property
    def pairs(self):
        return self.below + self.own

    def layer(self):
        return PlainMemory(self.embedder, list(self.pairs))

    def add(self, record, vector=None):
        for other, _ in self.pairs:
            if other.id == record.id:
                if other != record:
                    raise ValueError(record.id)
                return
        self.own.append((record, self.embed(record.text) if vector is None else vector))

    def merge(self, layers):
        for layer in layers:
            for record, vector in layer.own:
                self.add(record, vector)

    def embed(self, text):
        return [float(number) for number in self.embedder.vectors([text])[0]]

    def sees(self, record, kind, now):
        early = record.available_from is None or (now is not None and record.available_from <= now)
        return early and kind in (None, record.kind)

    def find(self, kind, where, now):
        fits = [
            record
            for record, _ in self.pairs
            if self.sees(record, kind, now) and all(record.payload.get(key) == value for key, value in where.items())
        ]
        return sorted(fits, key=lambda record: record.id)

    def search(self, text, k, kind, now, least):
        query = self.embed(text)
        hits = []
        for record, vector in self.pairs:
            if self.sees(record, kind, now):
                cosine = float(np.float32(math.fsum(a * b for a, b in zip(query, vector, strict=True))))
                if cosine >= least:
                    hits.append((-cosine, record.id))
        return [(key, -cosine) for cosine, key in sorted(hits)[:k]]
