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
WITH grid AS (
  SELECT
    -- Students are normal on the scale: its whole mass lies within eight deviations.
    ARRAY_AGG(-8.0 + 16.0 * step / (@nodes - 1) ORDER BY step) AS deviations
  FROM UNNEST(GENERATE_ARRAY(0, @nodes - 1)) AS step
),

-- In deviations from the students' mean.
abilities AS (
  SELECT
    deviations[OFFSET(0)] AS ability_0,
    deviations[OFFSET(1)] AS ability_1,
    deviations[OFFSET(2)] AS ability_2
  FROM grid
),

nodes AS (
  SELECT
    ability_0,
    ability_1,
    ability_2,
    ability_0 * ability_0 AS square_0,
    ability_1 * ability_1 AS square_1,
    ability_2 * ability_2 AS square_2
  FROM abilities
),

-- In the same terms. A wrong answer is a right one with all signs turned.
outcomes AS (
  SELECT
    item_id,
    1 AS correct,
    discrimination * population_deviation AS slope,
    intercept + discrimination * population_mean AS level,
    lower_asymptote AS least,
    upper_asymptote AS most
  FROM item_parameters
  WHERE as_of = @as_of
  UNION ALL
  SELECT
    item_id,
    0 AS correct,
    -discrimination * population_deviation AS slope,
    -intercept - discrimination * population_mean AS level,
    1.0 - upper_asymptote AS least,
    1.0 - lower_asymptote AS most
  FROM item_parameters
  WHERE as_of = @as_of
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

chances AS (
  SELECT
    item_id,
    correct,
    IF(node_0 >= 0, most + least * small_0, least + most * small_0) AS part_0,
    IF(node_1 >= 0, most + least * small_1, least + most * small_1) AS part_1,
    IF(node_2 >= 0, most + least * small_2, least + most * small_2) AS part_2,
    1.0 + small_0 AS whole_0,
    1.0 + small_1 AS whole_1,
    1.0 + small_2 AS whole_2
  FROM shrunk
),

-- LN sees nothing below the smallest number that there is.
logarithms AS (
  SELECT
    item_id,
    correct,
    LN(GREATEST(part_0, 1e-300)) AS part_0,
    LN(GREATEST(part_1, 1e-300)) AS part_1,
    LN(GREATEST(part_2, 1e-300)) AS part_2,
    LN(whole_0) AS whole_0,
    LN(whole_1) AS whole_1,
    LN(whole_2) AS whole_2
  FROM chances
),

log_probabilities AS (
  SELECT
    item_id,
    correct,
    part_0 - whole_0 AS node_0,
    part_1 - whole_1 AS node_1,
    part_2 - whole_2 AS node_2
  FROM logarithms
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
    likelihoods.node_0 - 0.5 * nodes.square_0 AS node_0,
    likelihoods.node_1 - 0.5 * nodes.square_1 AS node_1,
    likelihoods.node_2 - 0.5 * nodes.square_2 AS node_2
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

sums AS (
  SELECT
    masses.student_id,
    masses.answers,
    masses.node_0
    + masses.node_1
    + masses.node_2 AS mass,
    masses.node_0 * nodes.ability_0
    + masses.node_1 * nodes.ability_1
    + masses.node_2 * nodes.ability_2 AS first_sum,
    masses.node_0 * nodes.square_0
    + masses.node_1 * nodes.square_1
    + masses.node_2 * nodes.square_2 AS second_sum
  FROM masses
  CROSS JOIN nodes
),

moments AS (
  SELECT
    student_id,
    answers,
    first_sum / mass AS mean,
    second_sum / mass AS mean_square
  FROM sums
),

population AS (
  SELECT
    MAX(population_mean) AS mean,
    MAX(population_deviation) AS deviation
  FROM item_parameters
  WHERE as_of = @as_of
)

-- Sums of floating-point numbers depend on the order of the rows in their last digits; rounding
-- keeps a repeated run at the same numbers.
SELECT
  @as_of AS as_of,
  moments.student_id,
  ROUND(population.mean + population.deviation * moments.mean, 9) AS ability,
  ROUND(
    population.deviation * SQRT(moments.mean_square - moments.mean * moments.mean),
    9
  ) AS ability_error,
  moments.answers
FROM moments
CROSS JOIN population
