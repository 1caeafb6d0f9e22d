/*
How able each student is on the scale of the day's item parameters, and how sure that is.

output: student_abilities
partition: as_of
grain: [as_of, student_id]
parameters:
  as_of: DATE, the last UTC day whose answers count
  nodes:
    type: INT64
    about: abilities over which a student's are summed, equally spaced
    default: 161
columns:
  as_of: DATE NOT NULL, the last UTC day whose answers count
  student_id: STRING NOT NULL, pseudonymous student
  ability: FLOAT64 NOT NULL, the mean of what the answers leave open (EAP)
  ability_error: FLOAT64 NOT NULL, its standard deviation
  answers: INT64 NOT NULL, answers that count
checks:
  errors_are_positive: ability_error > 0
  everybody_answered: answers >= 1
byte_budget: 500 GB
*/

-- Three nodes show the statement; it runs with @nodes of them, each a column more wherever these
-- three stand. One row for each node would multiply the answers.
WITH parameters AS (
  SELECT
    item_id,
    discrimination,
    intercept,
    lower_asymptote,
    upper_asymptote
  FROM item_parameters
  WHERE as_of = @as_of
),

-- Students are normal on the scale: its whole mass lies within eight deviations.
scale AS (
  SELECT
    MAX(population_mean) AS mean,
    MAX(population_deviation) AS deviation
  FROM item_parameters
  WHERE as_of = @as_of
),

grid AS (
  SELECT
    ARRAY_AGG(-8.0 + 16.0 * step / (@nodes - 1) ORDER BY step) AS standard
  FROM UNNEST(GENERATE_ARRAY(0, @nodes - 1)) AS step
),

nodes AS (
  SELECT
    scale.mean + scale.deviation * grid.standard[OFFSET(0)] AS ability_0,
    scale.mean + scale.deviation * grid.standard[OFFSET(1)] AS ability_1,
    scale.mean + scale.deviation * grid.standard[OFFSET(2)] AS ability_2,
    POW(scale.mean + scale.deviation * grid.standard[OFFSET(0)], 2) AS square_0,
    POW(scale.mean + scale.deviation * grid.standard[OFFSET(1)], 2) AS square_1,
    POW(scale.mean + scale.deviation * grid.standard[OFFSET(2)], 2) AS square_2,
    -0.5 * POW(grid.standard[OFFSET(0)], 2) AS log_density_0,
    -0.5 * POW(grid.standard[OFFSET(1)], 2) AS log_density_1,
    -0.5 * POW(grid.standard[OFFSET(2)], 2) AS log_density_2
  FROM grid
  CROSS JOIN scale
),

-- A wrong answer is a right one with all signs turned.
outcomes AS (
  SELECT
    item_id,
    1 AS correct,
    discrimination AS slope,
    intercept AS level,
    lower_asymptote AS least,
    upper_asymptote AS most
  FROM parameters
  UNION ALL
  SELECT
    item_id,
    0 AS correct,
    -discrimination AS slope,
    -intercept AS level,
    1.0 - upper_asymptote AS least,
    1.0 - lower_asymptote AS most
  FROM parameters
),

log_odds AS (
  SELECT
    outcomes.item_id,
    outcomes.correct,
    outcomes.least,
    outcomes.most,
    outcomes.slope * nodes.ability_0 + outcomes.level AS node_0,
    outcomes.slope * nodes.ability_1 + outcomes.level AS node_1,
    outcomes.slope * nodes.ability_2 + outcomes.level AS node_2
  FROM outcomes
  CROSS JOIN nodes
),

-- EXP only ever sees numbers below 0: it can vanish, but not overflow.
shrunk AS (
  SELECT
    item_id,
    correct,
    least,
    most,
    EXP(-ABS(node_0)) AS small_0,
    EXP(-ABS(node_1)) AS small_1,
    EXP(-ABS(node_2)) AS small_2,
    node_0,
    node_1,
    node_2
  FROM log_odds
),

-- LN sees nothing below the smallest number that there is.
chances AS (
  SELECT
    item_id,
    correct,
    IF(node_0 >= 0, most + least * small_0, least + most * small_0) AS share_0,
    IF(node_1 >= 0, most + least * small_1, least + most * small_1) AS share_1,
    IF(node_2 >= 0, most + least * small_2, least + most * small_2) AS share_2,
    1.0 + small_0 AS whole_0,
    1.0 + small_1 AS whole_1,
    1.0 + small_2 AS whole_2
  FROM shrunk
),

log_probabilities AS (
  SELECT
    item_id,
    correct,
    LN(GREATEST(share_0, 1e-300)) - LN(whole_0) AS node_0,
    LN(GREATEST(share_1, 1e-300)) - LN(whole_1) AS node_1,
    LN(GREATEST(share_2, 1e-300)) - LN(whole_2) AS node_2
  FROM chances
),

likelihoods AS (
  SELECT
    answers_latest.student_id,
    COUNT(*) AS answers,
    SUM(log_probabilities.node_0) AS node_0,
    SUM(log_probabilities.node_1) AS node_1,
    SUM(log_probabilities.node_2) AS node_2
  FROM answers_latest
  -- Every item that was answered has parameters: they were calibrated from these answers.
  INNER JOIN log_probabilities
    ON
      answers_latest.item_id = log_probabilities.item_id
      AND answers_latest.correct = log_probabilities.correct
  WHERE answers_latest.as_of = @as_of
  GROUP BY answers_latest.student_id
),

joint AS (
  SELECT
    likelihoods.student_id,
    likelihoods.answers,
    likelihoods.node_0 + nodes.log_density_0 AS node_0,
    likelihoods.node_1 + nodes.log_density_1 AS node_1,
    likelihoods.node_2 + nodes.log_density_2 AS node_2
  FROM likelihoods
  CROSS JOIN nodes
),

peaks AS (
  SELECT
    student_id,
    answers,
    GREATEST(node_0, node_1, node_2) AS peak,
    node_0,
    node_1,
    node_2
  FROM joint
),

masses AS (
  SELECT
    student_id,
    answers,
    EXP(node_0 - peak) AS node_0,
    EXP(node_1 - peak) AS node_1,
    EXP(node_2 - peak) AS node_2
  FROM peaks
),

moments AS (
  SELECT
    masses.student_id,
    masses.answers,
    masses.node_0 + masses.node_1 + masses.node_2 AS mass,
    masses.node_0 * nodes.ability_0
    + masses.node_1 * nodes.ability_1
    + masses.node_2 * nodes.ability_2 AS first_moment,
    masses.node_0 * nodes.square_0
    + masses.node_1 * nodes.square_1
    + masses.node_2 * nodes.square_2 AS second_moment
  FROM masses
  CROSS JOIN nodes
)

-- Sums of floating-point numbers depend on the order of the rows in their last digits; rounding
-- keeps a repeated run at the same numbers.
SELECT
  @as_of AS as_of,
  student_id,
  ROUND(first_moment / mass, 9) AS ability,
  ROUND(SQRT(second_moment / mass - POW(first_moment / mass, 2)), 9) AS ability_error,
  answers
FROM moments
