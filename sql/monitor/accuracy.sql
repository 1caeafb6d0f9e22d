/*
How well answers were predicted before they came: all of them, and those of each subject.

output: prediction_accuracy
partition: as_of
publish: [csv.gz, parquet]
grain: [as_of, dimension, name]
parameters:
  as_of: DATE, the last UTC day whose answers count
columns:
  as_of: DATE NOT NULL, the last UTC day whose answers count
  dimension: STRING NOT NULL, all or subject
  name: STRING NOT NULL, the subject; all where there is but one row
  run_as_of: DATE NOT NULL, the day of the run that predicted
  answers: INT64 NOT NULL, predicted ones
  share_correct: FLOAT64 NOT NULL, from 0 to 1
  mean_predicted: FLOAT64 NOT NULL, the same as it was predicted
  brier: FLOAT64 NOT NULL, mean squared difference of correct and predicted
  brier_skill: FLOAT64, 1 less Brier over that of always saying share_correct; NULL if all are alike
  log_loss: FLOAT64 NOT NULL, mean of -ln of the probability that was given to what came
  auc: FLOAT64, chance that a right answer had the higher probability; NULL if all are alike
checks:
  brier_is_in_range: brier BETWEEN 0 AND 1
  log_loss_is_positive: log_loss > 0
  auc_is_in_range: auc BETWEEN 0 AND 1
byte_budget: 500 GB
if_empty: allowed
*/

WITH predictions AS (
  SELECT
    'all' AS dimension,
    'all' AS name,
    run_as_of,
    correct,
    predicted
  FROM predicted_answers
  WHERE as_of = @as_of
  UNION ALL
  SELECT
    'subject' AS dimension,
    subject AS name,
    run_as_of,
    correct,
    predicted
  FROM predicted_answers
  WHERE
    as_of = @as_of
    AND subject IS NOT NULL
),

ranked AS (
  SELECT
    dimension,
    name,
    run_as_of,
    correct,
    predicted,
    -- Answers of one probability share the middle of their ranks.
    RANK() OVER (PARTITION BY dimension, name ORDER BY predicted)
    + (COUNT(*) OVER (PARTITION BY dimension, name, predicted) - 1) / 2 AS middle_rank
  FROM predictions
),

sums AS (
  SELECT
    dimension,
    name,
    MAX(run_as_of) AS run_as_of,
    COUNT(*) AS answers,
    CAST(SUM(correct) AS FLOAT64) AS right_answers,
    CAST(SUM(1 - correct) AS FLOAT64) AS wrong_answers,
    AVG(correct) AS share_correct,
    AVG(predicted) AS mean_predicted,
    AVG(POW(correct - predicted, 2)) AS brier,
    AVG(-LN(IF(correct = 1, predicted, 1 - predicted))) AS log_loss,
    SUM(IF(correct = 1, middle_rank, 0)) AS right_ranks
  FROM ranked
  GROUP BY dimension, name
)

-- Sums of floating-point numbers depend on the order of the rows in their last digits; rounding
-- keeps a repeated run at the same bytes.
SELECT
  @as_of AS as_of,
  dimension,
  name,
  run_as_of,
  answers,
  ROUND(share_correct, 9) AS share_correct,
  ROUND(mean_predicted, 9) AS mean_predicted,
  ROUND(brier, 9) AS brier,
  IF(
    right_answers > 0 AND wrong_answers > 0,
    ROUND(1 - brier / (share_correct * (1 - share_correct)), 9),
    NULL
  ) AS brier_skill,
  -- Of answers that were all but certain it may round to 0, which it never is.
  GREATEST(ROUND(log_loss, 9), 1e-9) AS log_loss,
  IF(
    right_answers > 0 AND wrong_answers > 0,
    ROUND(
      (right_ranks - right_answers * (right_answers + 1) / 2) / (right_answers * wrong_answers),
      9
    ),
    NULL
  ) AS auc
FROM sums
