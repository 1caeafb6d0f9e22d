"""Which items hang together through students, where the answers stay in the warehouse."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from etl_jobs.calibrate.tables import RunTables
    from etl_jobs.irt import Responses

_BLOCKS = "calibration_blocks"


def blocks_in_warehouse(
    tables: RunTables, sql: str, answers: NDArray[Any], sample: Responses
) -> NDArray[Any]:
    """Return the block of each item, as `Calibration.block` says it.

    What hangs together in a sample does so in all answers. Only where the sample leaves blocks
    apart are all answers asked, in one query, whether somebody joins these.

    Args:
        tables: Where the run's answers are.
        sql: The query of `calibrate/connections`.
        answers: To each item.
        sample: The answers of some students.
    """
    import numpy as np
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    from etl_jobs.irt.answers.connections import by_size, item_blocks

    known = item_blocks(sample)
    # Items that nobody of the sample answered are blocks of their own.
    alone = np.flatnonzero(known < 0)
    known[alone] = known.max(initial=-1) + 1 + np.arange(len(alone))
    if len(np.unique(known[answers > 0])) > 1:
        pairs = _joined(tables, sql, known)
        count = int(known.max()) + 1
        links = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(count, count))
        _, joined = connected_components(links, directed=False)
        known = np.asarray(joined, np.int64)[known]
    return by_size(known, answers)


def _joined(tables: RunTables, sql: str, block: NDArray[Any]) -> NDArray[Any]:
    """The pairs of blocks that students join, shape (pairs, 2)."""
    import numpy as np
    import pyarrow as pa

    outcomes = {"outcome": pa.array(np.arange(2 * len(block))), "block": np.repeat(block, 2)}
    tables.warehouse.load(pa.table(outcomes), tables.name(_BLOCKS), if_exists="replace")
    rows = tables.warehouse.query(tables.named(sql), labels={"job": "calibrate"}).to_arrow()
    return np.stack((rows["block"].to_numpy(), rows["joined"].to_numpy()), axis=1)
