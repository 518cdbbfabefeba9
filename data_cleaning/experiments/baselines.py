"""Cleaners that know no ontology, for comparison: three readings of a functional dependency, and Baran.

Each takes a table and one dependency and gives new texts by row of its right-hand column.
"""

from collections.abc import Callable, Mapping
from importlib.util import find_spec

import numpy as np

from agentlab_runner.data_cleaning.experiments.inject import Planted
from agentlab_runner.data_cleaning.repairs.classes import class_ids, sum_by
from agentlab_runner.data_cleaning.repairs.readings import Bools
from agentlab_runner.data_cleaning.types import OFD, Table

Cells = dict[int, str | None]


class Histogram:
    """How often each value stands in each class of a dependency, and the most frequent one of each class."""

    def __init__(self, table: Table, ofd: OFD) -> None:
        at = table.names.index(ofd.rhs)
        self.texts = table.values[at]
        codes = table.codes[at].astype(np.int64)
        node = class_ids(table, ofd.lhs)
        width = max(1, len(self.texts))
        keys, self.count = sum_by(node * width + codes, np.ones(len(codes), dtype=np.int64))
        self.node, self.value = keys // width, keys % width
        order = np.lexsort((self.value, -self.count, self.node))
        first = order[np.unique(self.node[order], return_index=True)[1]]
        self.majority = self.value[first]
        """[X]."""
        self.size = np.bincount(node)
        self._cell = np.searchsorted(keys, node * width + codes)

    def to_majority(self, wrong: Bools) -> Cells:
        """Every tuple of the (class, value) pairs that are `wrong` becomes the most frequent value of its class."""
        wrong = wrong & (self.value != self.majority[self.node])
        rows = np.flatnonzero(wrong[self._cell])
        new = self.majority[self.node[self._cell[rows]]]
        return {row: self.texts[code] for row, code in zip(rows.tolist(), new.tolist(), strict=True)}


def fd_majority(table: Table, ofd: OFD) -> Cells:
    """Whatever differs from the most frequent value of its class is an error."""
    histogram = Histogram(table, ofd)
    return histogram.to_majority(np.ones(len(histogram.value), dtype=bool))


def fd_frequency(table: Table, ofd: OFD, share: float) -> Cells:
    """Values that make up less than `share` of their class are errors."""
    histogram = Histogram(table, ofd)
    return histogram.to_majority(histogram.count < share * histogram.size[histogram.node])


def fd_metric(table: Table, ofd: OFD, distance: float) -> Cells:
    """A metric functional dependency (Koudas et al., ICDE 2009): values farther than `distance` from the most frequent
    one of their class are errors; the distance is Levenshtein's, divided by the longer length."""
    from rapidfuzz.distance.Levenshtein import normalized_distance

    histogram = Histogram(table, ofd)
    pairs = zip(histogram.value.tolist(), histogram.majority[histogram.node].tolist(), strict=True)
    texts = histogram.texts
    far = np.array([normalized_distance(texts[a] or "", texts[b] or "") > distance for a, b in pairs], dtype=bool)
    return histogram.to_majority(far)


GRIDS: Mapping[str, tuple[Callable[[Table, OFD, float], Cells], tuple[float, ...]]] = {
    "fd_majority": (lambda table, ofd, _: fd_majority(table, ofd), (0.0,)),
    "fd_frequency": (fd_frequency, (0.005, 0.01, 0.02, 0.05, 0.1)),
    "fd_metric": (fd_metric, (0.2, 0.4, 0.6, 0.8, 0.95)),
}
"""Each cleaner with the values tried for its parameter."""


def has_baran() -> bool:
    return find_spec("raha") is not None


def baran(planted: Planted, ofd: OFD, labels: int, seed: int) -> Cells:
    """Baran (Mahdavi and Abedjan, VLDB 2020). It corrects and does not detect, so it is told which cells were damaged.

    Args:
        planted: shown whole, since Baran asks for the clean text of `labels` tuples that it chooses.
        seed: of its sampling.
    """
    import random
    from multiprocessing.pool import ThreadPool

    import pandas as pd
    from raha import correction
    from raha.dataset import Dataset

    correction.Pool = ThreadPool  # a process with threads, as a run is, may hang in the workers that it forks
    random.seed(seed)
    np.random.seed(seed)
    data = Dataset.__new__(Dataset)  # its reader of files calls a method that pandas 3 no longer has
    data.name, data.path, data.has_ground_truth = "planted", "", True
    data.dataframe, data.clean_dataframe = (
        pd.DataFrame(
            {name: [values[code] for code in codes.tolist()]
             for name, codes, values in zip(table.names, table.codes, table.values, strict=True)},
            dtype=object,
        )
        for table in (planted.dirty, planted.clean)
    )
    at = planted.dirty.names.index(ofd.rhs)
    data.detected_cells = {(row, at): "" for row in np.flatnonzero(planted.errors[ofd.rhs]).tolist()}
    cleaner = correction.Correction()
    cleaner.LABELING_BUDGET, cleaner.SAVE_RESULTS, cleaner.NUM_WORKERS = labels, False, 1
    return {row: text for (row, column), text in cleaner.run(data).items() if column == at}
