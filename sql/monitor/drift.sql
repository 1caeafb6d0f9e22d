/*
How far new answers have moved from those before: which items are answered, and how often rightly.

output: answer_drift
partition: as_of
publish: [csv.gz, parquet]
grain: [as_of, dimension, name]
parameters:
  as_of: DATE, the last UTC day whose answers count
  horizon_days:
    type: INT64
    about: days that are new, whose answers are predicted and compared with those before
    default: 7
  reference_days:
    type: INT64
    about: days before them, to compare with; the predicting run is of one of these
    default: 28
columns:
  as_of: DATE NOT NULL, the last UTC day whose answers count
  dimension: STRING NOT NULL, all, subject or item
  name: STRING NOT NULL, the subject or item; all where there is but one row
  reference_answers: INT64 NOT NULL, answers of the days before
  new_answers: INT64 NOT NULL, answers of the new days
  reference_share_correct: FLOAT64, right ones among those before; NULL without any
  new_share_correct: FLOAT64, right ones among the new; NULL without any
  answers_psi: FLOAT64, the name's part of the PSI of its dimension's shares of all answers
  answers_psi_by_chance: FLOAT64, the part of it that chance alone would be expected to make
  right_psi: FLOAT64, PSI of right and wrong among the name's own answers
  right_psi_by_chance: FLOAT64, what chance alone would be expected to make it
checks:
  parts_are_not_negative: answers_psi >= 0 AND right_psi >= 0
byte_budget: 500 GB
if_empty: allowed
*/

-- The measure is the population stability index (PSI): the sum of (q - p) ln(q / p) over categories,
-- p being their shares before and q the new ones. Half an answer is added to each count, so that a
-- category without answers has a share. By chance alone the expected PSI is
-- (categories - 1) (1/n + 1/m) for n and m answers.
WITH recent_answers AS (
  SELECT
    item_id,
    subject,
    correct,
    DATE(answered_at) > DATE_SUB(@as_of, INTERVAL @horizon_days DAY) AS is_new
  FROM answers_latest
  WHERE
    as_of = @as_of
    AND DATE(answered_at) > DATE_SUB(
      DATE_SUB(@as_of, INTERVAL @horizon_days DAY), INTERVAL @reference_days DAY
    )
),

named_answers AS (
  SELECT
    'all' AS dimension,
    'all' AS name,
    correct,
    is_new
  FROM recent_answers
  UNION ALL
  SELECT
    'subject' AS dimension,
    subject AS name,
    correct,
    is_new
  FROM recent_answers
  WHERE subject IS NOT NULL
  UNION ALL
  SELECT
    'item' AS dimension,
    item_id AS name,
    correct,
    is_new
  FROM recent_answers
),

counts AS (
  SELECT
    dimension,
    name,
    COUNTIF(NOT is_new) AS reference_answers,
    COUNTIF(is_new) AS new_answers,
    COUNTIF(NOT is_new AND correct = 1) AS reference_right,
    COUNTIF(is_new AND correct = 1) AS new_right
  FROM named_answers
  GROUP BY dimension, name
),

compared AS (
  SELECT
    dimension,
    name,
    reference_answers,
    new_answers,
    reference_right,
    new_right,
    COUNT(*) OVER (PARTITION BY dimension) AS categories,
    SUM(reference_answers) OVER (PARTITION BY dimension) AS all_reference_answers,
    SUM(new_answers) OVER (PARTITION BY dimension) AS all_new_answers
  FROM counts
),

shares AS (
  SELECT
    dimension,
    name,
    reference_answers,
    new_answers,
    all_reference_answers,
    all_new_answers,
    SAFE_DIVIDE(reference_right, reference_answers) AS reference_share_correct,
    SAFE_DIVIDE(new_right, new_answers) AS new_share_correct,
    (reference_answers + 0.5) / (all_reference_answers + 0.5 * categories) AS reference_share,
    (new_answers + 0.5) / (all_new_answers + 0.5 * categories) AS new_share,
    (reference_right + 0.5) / (reference_answers + 1.0) AS reference_right_share,
    (new_right + 0.5) / (new_answers + 1.0) AS new_right_share
  FROM compared
)

-- Rounded, so that a repeated run has the same bytes. Where one side has no answers at all there
-- is nothing to compare.
SELECT
  @as_of AS as_of,
  dimension,
  name,
  reference_answers,
  new_answers,
  ROUND(reference_share_correct, 9) AS reference_share_correct,
  ROUND(new_share_correct, 9) AS new_share_correct,
  IF(
    all_reference_answers > 0 AND all_new_answers > 0,
    ROUND((new_share - reference_share) * LN(new_share / reference_share), 9),
    NULL
  ) AS answers_psi,
  IF(
    all_reference_answers > 0 AND all_new_answers > 0,
    ROUND((1 - reference_share) * (1 / all_reference_answers + 1 / all_new_answers), 9),
    NULL
  ) AS answers_psi_by_chance,
  IF(
    reference_answers > 0 AND new_answers > 0,
    ROUND(
      (new_right_share - reference_right_share)
      * LN(
        new_right_share * (1 - reference_right_share)
        / (reference_right_share * (1 - new_right_share))
      ),
      9
    ),
    NULL
  ) AS right_psi,
  IF(
    reference_answers > 0 AND new_answers > 0,
    ROUND(1 / reference_answers + 1 / new_answers, 9),
    NULL
  ) AS right_psi_by_chance
FROM shares
