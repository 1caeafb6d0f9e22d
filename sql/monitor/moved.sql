/*
The subjects and items whose share of right answers has moved most, beyond what chance would do.

grain: [dimension, name]
parameters:
  as_of: DATE, the last UTC day whose answers count
columns:
  dimension: STRING NOT NULL, subject or item
  name: STRING NOT NULL, the subject or item
  reference_answers: INT64 NOT NULL, answers of the days before
  new_answers: INT64 NOT NULL, answers of the new days
  reference_share_correct: FLOAT64 NOT NULL, right ones among those before
  new_share_correct: FLOAT64 NOT NULL, right ones among the new
  right_psi: FLOAT64 NOT NULL, PSI of right and wrong
byte_budget: 50 GB
*/

SELECT
  dimension,
  name,
  reference_answers,
  new_answers,
  reference_share_correct,
  new_share_correct,
  right_psi
FROM answer_drift
WHERE
  as_of = @as_of
  AND dimension != 'all'
  -- As monitor/figures counts them.
  AND right_psi > 0.1
  AND right_psi > 10.827566170662733 * right_psi_by_chance
ORDER BY right_psi DESC, dimension, name
LIMIT 100
