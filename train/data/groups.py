"""Which posts belong together: ids of accounts and of near-duplicates that are the same in every process.

What says that two posts belong together is a *token* that they share; posts that are connected through any number of
tokens are one group, and the group's id depends on what is in it, not on where its rows stand.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from scipy import sparse
from scipy.sparse import csgraph

from postmill.train.data.arrays import Ids, Rows
from postmill.train.data.hashing import name_hashes


def components(size: int, rows: Rows, tokens: Ids) -> Rows:
    """Return, for each of ``size`` rows, the smallest row that it is connected with through shared tokens.

    Args:
        size: Number of rows.
        rows: Shape (M,), the row that has the token beside it.
        tokens: Shape (M,).
    """
    distinct, token = np.unique(tokens, return_inverse=True)
    # Rows and tokens are the two sides of a graph; each row is linked with its tokens.
    links = sparse.coo_array((np.ones(len(rows)), (rows, size + token)), shape=(size + len(distinct),) * 2)
    _, component = csgraph.connected_components(links, directed=False)
    _, smallest, of_row = np.unique(component[:size], return_index=True, return_inverse=True)
    labels: Rows = smallest[of_row]
    return labels


def group_ids(labels: Rows, names: pa.Array) -> Ids:
    """Return the id of each row's group: the smallest hash among the ``names`` of the group's rows.

    Args:
        labels: Shape (N,), of :func:`components`.
        names: N strings, none of them null.
    """
    hashed = name_hashes(names)
    smallest = hashed.copy()
    np.minimum.at(smallest, labels, hashed)
    return smallest[labels]
