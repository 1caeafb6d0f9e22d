"""What each pass over the answers found, kept until the run is over.

The search for the maximum is deterministic: given the same sums it asks the same questions. So
one that was killed is begun again, is answered from here as far as it had come, and ends where it
would have ended, to the last bit.
"""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from etl_jobs.irt.estimation.expectation import Expectation, Sums
    from etl_jobs.irt.model.models import ItemTables
    from etl_jobs.irt.model.quadrature import Grid
    from gcp_accessor import CloudStorageAccessor


@dataclass
class Journal:
    """An E-step that writes down what it found, and does not ask again what it has.

    Each pass is one object, `<uri>/pass-0007.npz`, made only where there is none: of two
    processes at work on one run the second takes what the first found.

    Args:
        expect: The E-step.
        uri: Where the run keeps its passes.
    """

    expect: Expectation
    store: CloudStorageAccessor
    uri: str
    passes: int = field(default=0, init=False)
    remembered: int = field(default=0, init=False)

    @property
    def persons(self) -> float:
        """How many persons gave answers."""
        return self.expect.persons

    def __call__(self, tables: ItemTables, grid: Grid) -> Sums:
        """The sums over all persons, from the journal where it has them."""
        from google.api_core.exceptions import NotFound, PreconditionFailed

        self.passes += 1
        uri = f"{self.uri}/pass-{self.passes:04}.npz"
        question = _digest(tables, grid)
        generation = 0
        try:
            generation = self.store.stat(uri).generation
            found = self._read(uri, generation, question)
        except NotFound:
            found = None
        if found is not None:
            self.remembered += 1
            return found
        sums = self.expect(tables, grid)
        try:
            # Another question's answer is from other code, and is replaced.
            self.store.write(uri, _packed(sums, question), format="bytes", if_generation=generation)
        except PreconditionFailed:
            # Somebody else was quicker. Sums of one question agree to rounding, yet both
            # searches have to go on from the same ones.
            theirs = self._read(uri, self.store.stat(uri).generation, question)
            return sums if theirs is None else theirs
        return sums

    def _read(self, uri: str, generation: int, question: str) -> Sums | None:
        """Return what a pass found; None if it was asked something else."""
        import numpy as np

        from etl_jobs.irt.estimation.expectation import Sums

        content = self.store.read(uri, as_="bytes", generation=generation)
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            if str(arrays["question"]) != question:
                return None
            return Sums(float(arrays["log_likelihood"]), arrays["wrong"], arrays["right"])


def _digest(tables: ItemTables, grid: Grid) -> str:
    digest = hashlib.sha256()
    for part in (tables.log_outcome, grid.nodes, grid.log_weights):
        digest.update(str(part.shape).encode())
        digest.update(part.tobytes())
    return digest.hexdigest()


def _packed(sums: Sums, question: str) -> bytes:
    import numpy as np

    buffer = io.BytesIO()
    np.savez(
        buffer,
        question=np.array(question),
        log_likelihood=np.array(sums.log_likelihood),
        wrong=sums.wrong,
        right=sums.right,
    )
    return buffer.getvalue()
