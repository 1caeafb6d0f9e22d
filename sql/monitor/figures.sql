/*
What a day's predictions and drift come to, in one row.

grain: [as_of]
parameters:
  as_of: DATE, the last UTC day whose answers count
columns:
  as_of: DATE NOT NULL, the last UTC day whose answers count
  run_as_of: DATE, the day of the run that predicted; NULL where none did
  predicted_answers: INT64 NOT NULL, answers that it predicted
  share_correct: FLOAT64, right ones among them
  mean_predicted: FLOAT64, the same as it was predicted
  brier: FLOAT64, mean squared difference of correct and predicted
  brier_skill: FLOAT64, 1 less Brier over that of always saying share_correct
  log_loss: FLOAT64, mean of -ln of the probability that was given to what came
  auc: FLOAT64, chance that a right answer had the higher probability
  calibration_error: FLOAT64, mean difference of share and probability over answers, by bins
  new_answers: INT64 NOT NULL, answers of the new days
  right_psi: FLOAT64, PSI of right and wrong among all answers
  subject_answers_psi: FLOAT64, PSI of the subjects' shares of all answers
  subject_answers_psi_by_chance: FLOAT64, what chance alone would be expected to make it
  item_answers_psi: FLOAT64, the same of items
  item_answers_psi_by_chance: FLOAT64, the same of items
  subjects_psi: FLOAT64, what is above chance of the subjects' PSI
  items_psi: FLOAT64, what is above chance of the items' PSI
  subjects_moved: INT64 NOT NULL, subjects whose share of right answers has moved
  items_moved: INT64 NOT NULL, items whose share of right answers has moved
byte_budget: 50 GB
*/

-- A subject or an item has moved where its PSI is above 0.1 and chance would exceed it in one of a
-- thousand: PSI over (1/n + 1/m) is chi-squared of one degree of freedom.
WITH moves AS (
  SELECT
    SUM(IF(dimension = 'all', new_answers, 0)) AS new_answers,
    MAX(IF(dimension = 'all', right_psi, NULL)) AS right_psi,
    SUM(IF(dimension = 'subject', answers_psi, NULL)) AS subject_answers_psi,
    SUM(IF(dimension = 'subject', answers_psi_by_chance, NULL)) AS subject_answers_psi_by_chance,
    SUM(IF(dimension = 'item', answers_psi, NULL)) AS item_answers_psi,
    SUM(IF(dimension = 'item', answers_psi_by_chance, NULL)) AS item_answers_psi_by_chance,
    COUNTIF(
      dimension = 'subject'
      AND right_psi > 0.1
      AND right_psi > 10.827566170662733 * right_psi_by_chance
    ) AS subjects_moved,
    COUNTIF(
      dimension = 'item'
      AND right_psi > 0.1
      AND right_psi > 10.827566170662733 * right_psi_by_chance
    ) AS items_moved
  FROM answer_drift
  WHERE as_of = @as_of
  GROUP BY as_of
),

misses AS (
  SELECT SUM(answers * ABS(share_correct - mean_predicted)) / SUM(answers) AS calibration_error
  FROM prediction_calibration
  WHERE as_of = @as_of
  GROUP BY as_of
),

accuracy AS (
  SELECT
    run_as_of,
    answers,
    share_correct,
    mean_predicted,
    brier,
    brier_skill,
    log_loss,
    auc
  FROM prediction_accuracy
  WHERE
    as_of = @as_of
    AND dimension = 'all'
)

SELECT
  @as_of AS as_of,
  accuracy.run_as_of,
  COALESCE(accuracy.answers, 0) AS predicted_answers,
  accuracy.share_correct,
  accuracy.mean_predicted,
  accuracy.brier,
  accuracy.brier_skill,
  accuracy.log_loss,
  accuracy.auc,
  ROUND(misses.calibration_error, 9) AS calibration_error,
  moves.new_answers,
  moves.right_psi,
  ROUND(moves.subject_answers_psi, 9) AS subject_answers_psi,
  ROUND(moves.subject_answers_psi_by_chance, 9) AS subject_answers_psi_by_chance,
  ROUND(moves.item_answers_psi, 9) AS item_answers_psi,
  ROUND(moves.item_answers_psi_by_chance, 9) AS item_answers_psi_by_chance,
  ROUND(
    IF(
      moves.subject_answers_psi > moves.subject_answers_psi_by_chance,
      moves.subject_answers_psi - moves.subject_answers_psi_by_chance,
      0.0 * moves.subject_answers_psi
    ),
    9
  ) AS subjects_psi,
  ROUND(
    IF(
      moves.item_answers_psi > moves.item_answers_psi_by_chance,
      moves.item_answers_psi - moves.item_answers_psi_by_chance,
      0.0 * moves.item_answers_psi
    ),
    9
  ) AS items_psi,
  moves.subjects_moved,
  moves.items_moved
FROM moves
-- Where nothing was predicted there is no row of either.
LEFT JOIN misses ON TRUE
LEFT JOIN accuracy ON TRUE
