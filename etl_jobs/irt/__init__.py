"""Item response theory, arrays in and arrays out: numpy and scipy, no cloud and no files.

Calibrate items from answers, then place persons on their scale:

    >>> import numpy as np
    >>> from etl_jobs.irt import Responses, calibrate, estimate_abilities
    >>> draw = np.random.default_rng(1)
    >>> ability, difficulty = draw.standard_normal((2000, 1)), np.linspace(-1, 1, 10)
    >>> answers = draw.random((2000, 10)) < 1 / (1 + np.exp(difficulty - ability))
    >>> responses = Responses.from_dense(answers)
    >>> calibration = calibrate(responses)
    >>> calibration.converged
    True
    >>> bool(np.all(np.abs(calibration.difficulty - difficulty) < 0.2))
    True
    >>> estimate_abilities(calibration, responses).ability.shape
    (2000,)
"""

from etl_jobs.irt.ability.abilities import Abilities, AbilityMethod, estimate_abilities
from etl_jobs.irt.ability.online import Belief, OnlineAbility
from etl_jobs.irt.ability.person_likelihood import PersonFit, person_fit
from etl_jobs.irt.ability.scoring import held_out_log_loss, log_likelihood, predict, predict_all
from etl_jobs.irt.answers.responses import Responses
from etl_jobs.irt.bank.exchange import (
    items_from_catsim_csv,
    items_from_mirt_csv,
    items_to_catsim_csv,
    items_to_mirt_csv,
)
from etl_jobs.irt.bank.item_bank import ItemBank, Items
from etl_jobs.irt.bank.item_json import items_from_json, items_to_json
from etl_jobs.irt.bank.linking import Link, LinkMethod, link
from etl_jobs.irt.dif.likelihood_ratio import LikelihoodRatio, likelihood_ratio
from etl_jobs.irt.dif.stratified_odds import MantelHaenszel, mantel_haenszel
from etl_jobs.irt.errors import CalibrationError, NotConverged, NotFitted, TooFewResponses
from etl_jobs.irt.estimation.calibrate import calibrate
from etl_jobs.irt.estimation.calibration import MODELS, Calibration, Model
from etl_jobs.irt.estimation.estimator import ItemResponseModel
from etl_jobs.irt.estimation.flags import FLAGS, Flag
from etl_jobs.irt.fit.infit_outfit import MeanSquares, mean_squares
from etl_jobs.irt.fit.limited_information import ModelFit, model_fit
from etl_jobs.irt.fit.residual_correlations import LocalDependence, local_dependence
from etl_jobs.irt.fit.summed_scores import SummedScoreFit, summed_score_fit
from etl_jobs.irt.model.design import PopulationKind
from etl_jobs.irt.model.information import (
    characteristic_curves,
    information_curve,
    item_information,
    measurement_error,
    observed_curves,
)
from etl_jobs.irt.model.models import difficulty, probability
from etl_jobs.irt.model.population import Population
from etl_jobs.irt.model.priors import DEFAULT_PRIORS, Beta, LogNormal, Normal, Priors

__all__ = [
    "Responses",
    "calibrate",
    "Calibration",
    "Model",
    "MODELS",
    "Population",
    "PopulationKind",
    "Priors",
    "Normal",
    "LogNormal",
    "Beta",
    "DEFAULT_PRIORS",
    "Flag",
    "FLAGS",
    "estimate_abilities",
    "Abilities",
    "AbilityMethod",
    "ItemBank",
    "Items",
    "log_likelihood",
    "predict",
    "predict_all",
    "held_out_log_loss",
    "mean_squares",
    "MeanSquares",
    "summed_score_fit",
    "SummedScoreFit",
    "person_fit",
    "PersonFit",
    "local_dependence",
    "LocalDependence",
    "model_fit",
    "ModelFit",
    "ItemResponseModel",
    "OnlineAbility",
    "Belief",
    "items_to_json",
    "items_from_json",
    "items_to_mirt_csv",
    "items_from_mirt_csv",
    "items_to_catsim_csv",
    "items_from_catsim_csv",
    "link",
    "Link",
    "LinkMethod",
    "mantel_haenszel",
    "MantelHaenszel",
    "likelihood_ratio",
    "LikelihoodRatio",
    "probability",
    "difficulty",
    "characteristic_curves",
    "observed_curves",
    "item_information",
    "information_curve",
    "measurement_error",
    "CalibrationError",
    "TooFewResponses",
    "NotConverged",
    "NotFitted",
]
