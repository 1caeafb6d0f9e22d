/*
Whether of the answers that were given a probability as many were right, in ten bins of it.

output: prediction_calibration
partition: as_of
publish: [csv.gz, parquet]
grain: [as_of, bin]
parameters:
  as_of: DATE, the last UTC day whose answers count
columns:
  as_of: DATE NOT NULL, the last UTC day whose answers count
  bin: INT64 NOT NULL, from 1, probabilities below 0.1, to 10, those from 0.9 up
  answers: INT64 NOT NULL, predicted ones
  mean_predicted: FLOAT64 NOT NULL, mean of their probabilities
  share_correct: FLOAT64 NOT NULL, right ones among them, from 0 to 1
  share_error: FLOAT64 NOT NULL, standard error of that share if the probabilities were true
checks:
  bins_are_ten: bin BETWEEN 1 AND 10
  means_are_in_their_bin: mean_predicted BETWEEN (bin - 1) / 10 - 1e-9 AND bin / 10 + 1e-9
byte_budget: 500 GB
if_empty: allowed
*/

WITH binned AS (
  SELECT
    CAST(FLOOR(predicted * 10) AS INT64) + 1 AS bin,
    correct,
    predicted
  FROM predicted_answers
  WHERE as_of = @as_of
)

-- Rounded, so that a repeated run has the same bytes.
SELECT
  @as_of AS as_of,
  bin,
  COUNT(*) AS answers,
  ROUND(AVG(predicted), 9) AS mean_predicted,
  ROUND(AVG(correct), 9) AS share_correct,
  ROUND(SQRT(SUM(predicted * (1 - predicted))) / COUNT(*), 9) AS share_error
FROM binned
GROUP BY bin
