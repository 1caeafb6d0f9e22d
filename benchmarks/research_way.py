"""The research way: pandas, a pivot, a Python IRT package, json. Usage: PACKAGE LOG OUTPUT."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

if TYPE_CHECKING:
    import numpy as np


def main(package: str, log: str, output: str) -> None:
    """Fit a two-parameter model to the first attempts of a log and store the items."""
    answers = pd.read_csv(log)
    if answers["item_id"].isna().all():
        answers["item_id"] = answers["skill_id"]
    first = answers.sort_values(["user_id", "seq"]).drop_duplicates(["user_id", "item_id"])
    matrix = first.pivot(index="user_id", columns="item_id", values="correct")
    discrimination, difficulty = FITS[package](matrix)
    items = [
        {"item_id": str(item), "a": float(a), "b": float(b)}
        for item, a, b in zip(matrix.columns, discrimination, difficulty, strict=True)
    ]
    Path(output).write_text(json.dumps(items))


def with_girth(matrix: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Fit with girth 0.8: items in rows, a tag where nobody answered."""
    from girth import INVALID_RESPONSE, twopl_mml

    tagged = matrix.fillna(INVALID_RESPONSE).astype(int).to_numpy().T
    fitted = twopl_mml(tagged)
    return fitted["Discrimination"], fitted["Difficulty"]


def with_mirt(matrix: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Fit with PyPI's mirt 1.2: persons in rows, -1 where nobody answered."""
    from mirt import fit_mirt

    answers = matrix.fillna(-1).astype(int).to_numpy()
    fitted = fit_mirt(answers, model="2PL", compute_standard_errors=False)
    parameters = fitted.model.parameters
    return parameters["discrimination"], parameters["difficulty"]


FITS = {"girth": with_girth, "mirt": with_mirt}

if __name__ == "__main__":
    main(*sys.argv[1:])
