"""Where planned entries lie in an archive as it is now: places of the plan become offsets of its address space."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from postmill.ingest.zipformat.signatures import LOCAL_HEADER, MOST_AFTER_NAME
from postmill.ingest.zipformat.space import AddressSpace
from postmill.shards.formats.places import offset_of, part_of


def located(space: AddressSpace, planned: pa.Table) -> pa.Table:
    """Return ``planned`` (schema :data:`.plan.ENTRIES`) with offsets and ends in ``space`` in place of places.

    An end is no further than the entry can reach, and not behind the end of the part in which the plan has it: how long
    that is, the plan need not have known.

    Args:
        space: The archive; the parts from that of the first entry to that of the last one are there.
        planned: Entries of one window.
    """
    starts = np.array([part.start for part in space.parts], np.int64)
    ends = np.array([part.end for part in space.parts], np.int64)
    begin, last = planned["offset"].to_numpy(), planned["end"].to_numpy() - 1
    offset = starts[part_of(begin)] + offset_of(begin)
    end = np.minimum(starts[part_of(last)] + offset_of(last) + 1, ends[part_of(last)])
    names = pc.binary_length(planned["name"]).to_numpy()
    reach = offset + LOCAL_HEADER.size + names + planned["compressed_size"].to_numpy() + MOST_AFTER_NAME
    end = np.maximum(np.minimum(end, reach), offset)
    columns = {"offset": offset, "end": end}
    for name, values in columns.items():
        planned = planned.set_column(planned.schema.get_field_index(name), name, pa.array(values))
    return planned
