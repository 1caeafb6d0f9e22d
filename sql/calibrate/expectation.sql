/*
What all answers say of each item at given parameters, summed: the E-step of a calibration.

grain: [outcome]
parameters:
  log_weight_0: FLOAT64, logarithm of the share of students at the first node of ability
  log_weight_1: FLOAT64, the same of the next
  log_weight_2: FLOAT64, the same of the last
columns:
  outcome: INT64 NOT NULL, twice the item's number, plus 1 for a right answer
  log_likelihood: FLOAT64 NOT NULL, an equal share of their students' for each of the answers
  node_0: FLOAT64 NOT NULL, students with the outcome who are expected at the first node
  node_1: FLOAT64 NOT NULL, the same of the next
  node_2: FLOAT64 NOT NULL, the same of the last
byte_budget: 10 TB
*/

-- Three nodes show the statement; it runs with as many as a calibration asks for, each a column
-- more wherever these three stand. One row for each node would multiply the answers.
-- It goes through the answers twice, and only sums over students leave it.
WITH joint AS (
  SELECT
    calibration_answers.student,
    COUNT(*) AS answers,
    @log_weight_0 + SUM(calibration_outcomes.node_0) AS node_0,
    @log_weight_1 + SUM(calibration_outcomes.node_1) AS node_1,
    @log_weight_2 + SUM(calibration_outcomes.node_2) AS node_2
  FROM calibration_answers
  -- Every outcome has its row.
  INNER JOIN calibration_outcomes ON calibration_answers.outcome = calibration_outcomes.outcome
  GROUP BY calibration_answers.student
),

peaks AS (
  SELECT
    student,
    answers,
    GREATEST(node_0, node_1, node_2) AS peak,
    node_0,
    node_1,
    node_2
  FROM joint
),

-- Relative to the peak, a student of thousands of answers does not underflow.
likelihoods AS (
  SELECT
    student,
    answers,
    peak,
    EXP(node_0 - peak) AS node_0,
    EXP(node_1 - peak) AS node_1,
    EXP(node_2 - peak) AS node_2
  FROM peaks
),

totals AS (
  SELECT
    student,
    answers,
    peak,
    node_0 + node_1 + node_2 AS total,
    node_0,
    node_1,
    node_2
  FROM likelihoods
),

posteriors AS (
  SELECT
    student,
    (peak + LN(total)) / answers AS log_likelihood,
    node_0 / total AS node_0,
    node_1 / total AS node_1,
    node_2 / total AS node_2
  FROM totals
)

SELECT
  calibration_answers.outcome,
  SUM(posteriors.log_likelihood) AS log_likelihood,
  SUM(posteriors.node_0) AS node_0,
  SUM(posteriors.node_1) AS node_1,
  SUM(posteriors.node_2) AS node_2
FROM calibration_answers
-- Every student has a posterior.
INNER JOIN posteriors ON calibration_answers.student = posteriors.student
GROUP BY calibration_answers.outcome
