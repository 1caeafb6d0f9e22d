"""What a person should look at in calibrated items, beyond what the calibration itself says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from etl_jobs.calibrate.dependence import DependentPairs
    from etl_jobs.calibrate.groups import GroupDifferences, StudentGroups
    from etl_jobs.irt import Calibration, MeanSquares, Responses

# Linacre's (2002) bound of what is still productive for measurement is 1.5; this is Wright's
# (1994) for a run of the mill test. A departure must also be more than chance.
_MISFIT = 1.3
_BEYOND_CHANCE = 3.0


@dataclass(frozen=True, slots=True, eq=False)
class Findings:
    """How the items do beside the model, beside each other, and with groups of students.

    Attributes:
        fit: Infit and outfit.
        dependent: Pairs of items that hang together by more than ability.
        differences: Items that do not treat groups alike; None where groups are not compared.
    """

    fit: MeanSquares
    dependent: DependentPairs
    differences: GroupDifferences | None = None

    @classmethod
    def of(
        cls, fitted: Calibration, responses: Responses, groups: StudentGroups | None = None
    ) -> Findings:
        """Look at everything that the answers can tell."""
        from etl_jobs import irt
        from etl_jobs.calibrate.dependence import dependent_pairs
        from etl_jobs.calibrate.groups import compare_groups

        fit, _ = irt.mean_squares(fitted, responses)
        return cls(
            fit,
            dependent_pairs(fitted, responses),
            None if groups is None else compare_groups(fitted, responses, groups),
        )

    def flags(self, fitted: Calibration) -> tuple[tuple[str, ...], ...]:
        """Each item's flags: the calibration's own, and what was found here.

        An item that was never going to follow a curve, because its discrimination is low or
        negative, is not said to misfit as well.
        """
        fit = self.fit
        noisy = ((fit.infit > _MISFIT) & (fit.infit_z > _BEYOND_CHANCE)) | (
            (fit.outfit > _MISFIT) & (fit.outfit_z > _BEYOND_CHANCE)
        )
        unequal = self.differences.flags() if self.differences else [None] * len(fitted.items)
        dependent = self.dependent.items()
        return tuple(
            (
                *flags,
                *(("misfit",) if misfits and not flags else ()),
                *((difference,) if difference else ()),
                *(("local_dependence",) if str(item) in dependent else ()),
            )
            for item, flags, misfits, difference in zip(
                fitted.items.tolist(), fitted.flags, noisy.tolist(), unequal, strict=True
            )
        )
