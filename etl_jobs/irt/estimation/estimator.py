"""Calibration and scoring as an estimator in the manner of scikit-learn."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from scipy import sparse

from etl_jobs.irt.ability.abilities import AbilityMethod, estimate_abilities
from etl_jobs.irt.ability.scoring import log_likelihood, predict_all
from etl_jobs.irt.answers.responses import Responses
from etl_jobs.irt.errors import NotFitted
from etl_jobs.irt.estimation.calibrate import calibrate
from etl_jobs.irt.model.priors import DEFAULT_PRIORS, Priors

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from etl_jobs.irt.estimation.calibration import Calibration, Model
    from etl_jobs.irt.model.models import FloatArray


class ItemResponseModel:
    """An item response model that fits into scikit-learn's pipelines and searches.

    It keeps to the conventions: parameters are stored as given, what is learnt ends in an
    underscore, `clone`, `GridSearchCV` and `cross_val_score` work. scikit-learn itself is not
    needed.

    `X` is persons by items, in any of these forms:

    - a matrix, or a frame with a column for each item, of 1, 0 and NaN for no answer;
    - a sparse matrix, whose stored entries are the answers: a wrong one is a stored 0;
    - with `columns`, a frame with a row for each answer; persons then come out sorted;
    - `Responses`.

    Args:
        model: "Rasch", "1PL", "2PL", "3PL" or "4PL".
        priors: What is believed of items beforehand; None is maximum likelihood.
        method: How `transform` estimates abilities: "EAP", "MAP", "ML" or "WLE".
        columns: The names of the person, the item and the correct column of a long frame.
        max_iterations: Passes over the answers.
        tolerance: The search ends when a step changes no parameter by more.

    Attributes:
        calibration_: The `Calibration`, with all that is known of the items.
        items_: The items' labels, shape (items,).
        discrimination_: Their discriminations, shape (items,).
        difficulty_: Their difficulties, shape (items,).
        n_features_in_: How many items there are.

    Example:
        >>> import numpy as np
        >>> from etl_jobs.irt import ItemResponseModel
        >>> answers = np.random.default_rng(1).integers(0, 2, (100, 5))
        >>> model = ItemResponseModel("1PL").fit(answers)
        >>> model.predict_proba(answers).shape, model.transform(answers).shape
        ((100, 5), (100, 1))
    """

    calibration_: Calibration
    items_: NDArray[Any]
    discrimination_: FloatArray
    difficulty_: FloatArray
    n_features_in_: int

    def __init__(
        self,
        model: Model = "2PL",
        *,
        priors: Priors | None = DEFAULT_PRIORS,
        method: AbilityMethod = "EAP",
        columns: tuple[str, str, str] | None = None,
        max_iterations: int = 500,
        tolerance: float = 1e-5,
    ) -> None:
        self.model = model
        self.priors = priors
        self.method = method
        self.columns = columns
        self.max_iterations = max_iterations
        self.tolerance = tolerance

    def fit(self, X: Any, y: object = None) -> Self:  # noqa: N803, ARG002 (scikit-learn's names)
        """Calibrate the items.

        Raises:
            TooFewResponses: The answers cannot determine the parameters.
            NotConverged: No maximum was reached.
            ValueError: X holds something else than answers.
        """
        calibration = calibrate(
            self._responses(X),
            model=self.model,
            priors=self.priors,
            max_iterations=self.max_iterations,
            tolerance=self.tolerance,
        )
        self.calibration_ = calibration
        self.items_ = calibration.items
        self.discrimination_ = calibration.discrimination
        self.difficulty_ = calibration.difficulty
        self.n_features_in_ = len(calibration.items)
        return self

    def transform(self, X: Any) -> FloatArray:  # noqa: N803
        """The persons' abilities, shape (persons, 1), from their answers in X."""
        abilities = estimate_abilities(self._fitted(), self._known(X), method=self.method)
        return abilities.ability[:, np.newaxis]

    def fit_transform(self, X: Any, y: object = None) -> FloatArray:  # noqa: N803, ARG002
        """Calibrate the items, and estimate the abilities of the same persons."""
        return self.fit(X).transform(X)

    def predict_proba(self, X: Any) -> FloatArray:  # noqa: N803
        """How likely each person is right on each item, shape (persons, items).

        Given the person's answers in X, and averaged over what they leave open.
        """
        return predict_all(self._fitted(), self._known(X))

    def predict(self, X: Any) -> NDArray[np.int64]:  # noqa: N803
        """1 where a right answer is as likely as not or more, else 0, shape (persons, items)."""
        return (self.predict_proba(X) >= 0.5).astype(np.int64)

    def score(self, X: Any, y: object = None) -> float:  # noqa: N803, ARG002
        """The mean log-likelihood of a person's answers, ability integrated out."""
        responses = self._known(X)
        persons = int(np.count_nonzero(responses.answers_per_person()))
        if not persons:
            raise ValueError("there are no answers to score")
        return log_likelihood(self._fitted(), responses) / persons

    def get_params(self, deep: bool = True) -> dict[str, Any]:  # noqa: ARG002
        """The parameters by name, as they were given."""
        return {name: getattr(self, name) for name in inspect.signature(type(self)).parameters}

    def set_params(self, **parameters: Any) -> Self:
        """Change parameters; what was learnt stays until the next `fit`.

        Raises:
            ValueError: A name is none of the parameters'.
        """
        known = self.get_params()
        for name, value in parameters.items():
            if name not in known:
                raise ValueError(f"there is no parameter {name!r}; there are {', '.join(known)}")
            setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        defaults = inspect.signature(type(self)).parameters
        told = [
            f"{name}={value!r}"
            for name, value in self.get_params().items()
            if value != defaults[name].default
        ]
        return f"{type(self).__name__}({', '.join(told)})"

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "calibration_")

    def __sklearn_tags__(self) -> Any:
        # Only scikit-learn asks, so it is there.
        from sklearn.utils import InputTags, Tags, TargetTags, TransformerTags

        return Tags(
            estimator_type=None,
            target_tags=TargetTags(required=False),
            transformer_tags=TransformerTags(),
            input_tags=InputTags(allow_nan=True, sparse=True),
        )

    def _fitted(self) -> Calibration:
        if not hasattr(self, "calibration_"):
            raise NotFitted(f"this {type(self).__name__} knows no items yet; call fit first")
        return self.calibration_

    def _known(self, X: Any) -> Responses:  # noqa: N803
        """Answers to the items that were fitted, whose labels a bare matrix lacks."""
        responses = self._responses(X)
        fitted = self._fitted()
        if isinstance(X, Responses) or _is_frame(X):
            return responses
        if len(responses.items) != len(fitted.items):
            raise ValueError(
                f"X has {len(responses.items)} columns; the model was fitted to "
                f"{len(fitted.items)} items"
            )
        return Responses(
            responses.persons, fitted.items, responses.start, responses.item, responses.correct
        )

    def _responses(self, X: Any) -> Responses:  # noqa: N803
        if isinstance(X, Responses):
            return X
        if self.columns is not None:
            if not _is_frame(X):
                raise ValueError(
                    f"columns is {self.columns!r}, for a frame with a row for each answer; X is "
                    f"{type(X).__name__}"
                )
            missing = [name for name in self.columns if name not in X.columns]
            if missing:
                raise ValueError(
                    f"the frame has no column {missing[0]!r}; it has "
                    f"{', '.join(map(repr, X.columns)):.200}"
                )
            person, item, correct = self.columns
            return Responses.from_long(
                np.asarray(X[person]), np.asarray(X[item]), _numbers(X[correct])
            )
        if sparse.issparse(X):
            cells = X.tocoo()
            rows, columns = cells.shape
            return Responses.from_long(
                cells.row,
                cells.col,
                cells.data,
                persons=np.arange(rows),
                items=np.arange(columns),
            )
        if _is_frame(X):
            return Responses.from_dense(_numbers(X), items=np.asarray(X.columns))
        return Responses.from_dense(X)


def _is_frame(X: Any) -> bool:  # noqa: N803
    return hasattr(X, "columns") and hasattr(X, "__getitem__")


def _numbers(values: Any) -> Any:
    """A frame's or a column's values, its own kind of missing as NaN."""
    if hasattr(values, "iloc"):
        try:
            # pandas has missing values that numpy does not know.
            return values.to_numpy(dtype=np.float64, na_value=np.nan)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"the frame holds something else than 1, 0 and missing values: {error}; with a "
                "row for each answer, name its columns: columns=(person, item, correct)"
            ) from error
    return np.asarray(values)
