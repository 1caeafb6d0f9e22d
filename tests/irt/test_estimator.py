"""The estimator: scikit-learn's own tools work on it, and every form of answers is one."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
from scipy import sparse, special
from sklearn import base, pipeline
from sklearn import model_selection as selection
from sklearn.utils import validation as utils

from etl_jobs import irt
from etl_jobs.irt.errors import NotFitted


def simulate(persons: int = 400, items: int = 8, answered: float = 0.7) -> np.ndarray:
    draw = np.random.default_rng(3)
    log_odds = draw.standard_normal((persons, 1)) - np.linspace(-1.5, 1.5, items)
    answers = (draw.random((persons, items)) < special.expit(log_odds)).astype(float)
    answers[draw.random((persons, items)) >= answered] = np.nan
    return answers


def test_fit_and_score_are_calibrate_and_its_likelihood() -> None:
    answers = simulate()
    responses = irt.Responses.from_dense(answers)
    calibration = irt.calibrate(responses, model="1PL")

    model = irt.ItemResponseModel("1PL").fit(answers)

    assert np.array_equal(model.discrimination_, calibration.discrimination)
    assert np.array_equal(model.difficulty_, calibration.difficulty)
    assert model.n_features_in_ == 8
    expected = irt.log_likelihood(calibration, responses) / calibration.persons
    assert model.score(answers) == pytest.approx(expected)
    abilities = irt.estimate_abilities(calibration, responses).ability
    assert np.array_equal(model.transform(answers)[:, 0], abilities)
    assert np.array_equal(model.fit_transform(answers)[:, 0], abilities)


def test_probabilities_are_those_of_every_item_given_the_persons_answers() -> None:
    answers = simulate(persons=60)
    model = irt.ItemResponseModel("2PL").fit(answers)
    everything = irt.Responses.from_dense(np.ones_like(answers))

    chance = model.predict_proba(answers)

    each = irt.predict(model.calibration_, irt.Responses.from_dense(answers), everything)
    assert chance == pytest.approx(each.reshape(chance.shape), abs=1e-12)
    assert np.array_equal(model.predict(answers), chance >= 0.5)


def test_answers_in_every_form_give_the_same_fit() -> None:
    answers = simulate()
    person, item = np.nonzero(~np.isnan(answers))
    correct = answers[person, item]
    labels = [f"q{column}" for column in range(8)]
    stored = sparse.csr_array((correct, (person, item)), shape=answers.shape)
    stored_zeros = sparse.coo_matrix((correct, (person, item)), shape=answers.shape)
    wide = pd.DataFrame(answers, columns=labels)
    nullable = wide.astype("Int64")
    long = pd.DataFrame({"who": person, "what": np.array(labels)[item], "right": correct})
    shuffled = long.sample(frac=1, random_state=1)

    dense = irt.ItemResponseModel().fit(answers)

    for form in (stored, stored_zeros, wide, nullable, irt.Responses.from_dense(answers)):
        model = irt.ItemResponseModel().fit(form)
        assert np.array_equal(model.difficulty_, dense.difficulty_)
        assert np.array_equal(model.transform(form), dense.transform(answers))
    by_row = irt.ItemResponseModel(columns=("who", "what", "right")).fit(shuffled)
    assert np.array_equal(by_row.difficulty_, dense.difficulty_)
    assert list(by_row.items_) == labels
    assert np.array_equal(by_row.transform(long), dense.transform(answers))


def test_columns_of_a_frame_are_known_by_their_names() -> None:
    wide = pd.DataFrame(simulate(), columns=list("abcdefgh"))
    model = irt.ItemResponseModel().fit(wide)

    turned = model.transform(wide[list("hgfedcba")])
    some = model.transform(wide[["a", "c"]])

    assert turned == pytest.approx(model.transform(wide), abs=1e-12)
    assert some.shape == (400, 1)
    assert model.transform(wide.to_numpy()) == pytest.approx(model.transform(wide), abs=1e-12)
    with pytest.raises(ValueError, match="item z is not calibrated"):
        model.transform(wide.rename(columns={"a": "z"}))
    with pytest.raises(ValueError, match="X has 3 columns; the model was fitted to 8"):
        model.transform(wide.to_numpy()[:, :3])


def test_scikit_learn_clones_searches_and_validates_it() -> None:
    answers = simulate()
    model = irt.ItemResponseModel("2PL", priors=irt.Priors(irt.LogNormal(0, 0.5)), tolerance=1e-4)

    copy = base.clone(model)
    scores = selection.cross_val_score(irt.ItemResponseModel("1PL"), answers, cv=3)
    search = selection.GridSearchCV(irt.ItemResponseModel(), {"model": ["1PL", "2PL"]}, cv=3)
    search.fit(answers)
    steps = pipeline.make_pipeline(irt.ItemResponseModel("1PL", method="WLE"))

    assert copy is not model
    assert copy.get_params() == model.get_params()
    assert np.isfinite(scores).all()
    assert search.best_params_["model"] in ("1PL", "2PL")
    assert search.best_estimator_.score(answers) < 0
    assert steps.fit_transform(answers).shape == (400, 1)
    with pytest.raises(Exception, match="not fitted"):
        utils.check_is_fitted(irt.ItemResponseModel())
    utils.check_is_fitted(model.fit(answers))


def test_parameters_are_kept_as_given_and_can_be_changed() -> None:
    priors = irt.Priors()
    model = irt.ItemResponseModel("1PL", priors=priors)

    assert model.get_params()["priors"] is priors
    assert model.set_params(model="2PL", method="MAP") is model
    assert (model.model, model.method) == ("2PL", "MAP")
    assert repr(model) == "ItemResponseModel(method='MAP')"
    with pytest.raises(ValueError, match="no parameter 'modle'"):
        model.set_params(modle="1PL")


def test_a_model_that_has_seen_nothing_says_so() -> None:
    with pytest.raises(NotFitted, match="call fit first"):
        irt.ItemResponseModel().predict_proba(simulate())
    with pytest.raises(ValueError, match="a row for each answer"):
        irt.ItemResponseModel(columns=("a", "b", "c")).fit(simulate())
    with pytest.raises(ValueError, match="no answers to score"):
        irt.ItemResponseModel().fit(simulate()).score(np.full((2, 8), np.nan))


def test_a_sparse_matrix_that_dropped_its_zeros_is_not_taken_for_answers() -> None:
    answers = np.nan_to_num(simulate())

    with pytest.raises(irt.TooFewResponses, match="answers are right"):
        irt.ItemResponseModel().fit(sparse.csr_matrix(answers))


def test_a_fitted_model_survives_pickling() -> None:
    answers = simulate()
    model = irt.ItemResponseModel().fit(answers)

    copy = pickle.loads(pickle.dumps(model))

    assert np.array_equal(copy.predict_proba(answers), model.predict_proba(answers))
