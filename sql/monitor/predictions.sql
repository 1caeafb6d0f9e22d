/*
Answers that came after a run, each with the chance of a right one that the run gave it beforehand.

output: predicted_answers
partition: as_of
grain: [as_of, student_id, item_id]
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
  nodes:
    type: INT64
    about: abilities over which a student's are summed, equally spaced
    default: 161
columns:
  as_of: DATE NOT NULL, the last UTC day whose answers count
  student_id: STRING NOT NULL, pseudonymous student
  item_id: STRING NOT NULL, question answered
  subject: STRING, normalised to lower case and single spaces
  run_as_of: DATE NOT NULL, the day of the run that predicted
  is_new_student: BOOL NOT NULL, whether the run knew no answer of the student
  correct: INT64 NOT NULL, 1 for a right answer and 0 for a wrong one
  predicted: FLOAT64 NOT NULL, probability of a right answer, never quite 0 or 1
  answered_at: TIMESTAMP NOT NULL, UTC
checks:
  probabilities_are_inside: predicted > 0 AND predicted < 1
  nothing_was_known: DATE(answered_at) > run_as_of
byte_budget: 500 GB
earlier_days: [item_parameters, student_abilities]
if_empty: allowed
*/

-- The run is the latest that is @horizon_days old. Items have its parameters and students its
-- abilities, which know no answer after its day. A student whom it did not know is anybody of its
-- population; answers to items that it did not know are left out.
--
-- Three nodes show the statement; it runs with @nodes of them, each a column more wherever these
-- three stand.
WITH grid AS (
  SELECT
    -- The whole mass of what is not known of an ability lies within eight deviations.
    ARRAY_AGG(-8.0 + 16.0 * step / (@nodes - 1) ORDER BY step) AS deviations
  FROM UNNEST(GENERATE_ARRAY(0, @nodes - 1)) AS step
),

abilities AS (
  SELECT
    deviations[OFFSET(0)] AS ability_0,
    deviations[OFFSET(1)] AS ability_1,
    deviations[OFFSET(2)] AS ability_2
  FROM grid
),

densities AS (
  SELECT
    ability_0,
    ability_1,
    ability_2,
    EXP(-0.5 * ability_0 * ability_0) AS density_0,
    EXP(-0.5 * ability_1 * ability_1) AS density_1,
    EXP(-0.5 * ability_2 * ability_2) AS density_2
  FROM abilities
),

nodes AS (
  SELECT
    ability_0,
    ability_1,
    ability_2,
    density_0,
    density_1,
    density_2,
    density_0
    + density_1
    + density_2 AS mass
  FROM densities
),

scored_days AS (
  SELECT DISTINCT as_of
  FROM student_abilities
  WHERE
    as_of >= DATE_SUB(
      DATE_SUB(@as_of, INTERVAL @horizon_days DAY), INTERVAL @reference_days DAY
    )
    AND as_of <= DATE_SUB(@as_of, INTERVAL @horizon_days DAY)
),

-- A day without abilities is no run that could have predicted.
predicting_run AS (
  SELECT MAX(item_parameters.as_of) AS as_of
  FROM item_parameters
  INNER JOIN scored_days ON item_parameters.as_of = scored_days.as_of
  WHERE
    item_parameters.as_of >= DATE_SUB(
      DATE_SUB(@as_of, INTERVAL @horizon_days DAY), INTERVAL @reference_days DAY
    )
    AND item_parameters.as_of <= DATE_SUB(@as_of, INTERVAL @horizon_days DAY)
),

known_items AS (
  SELECT
    item_parameters.item_id,
    item_parameters.as_of,
    item_parameters.discrimination,
    item_parameters.intercept,
    item_parameters.lower_asymptote,
    item_parameters.upper_asymptote,
    item_parameters.population_mean,
    item_parameters.population_deviation
  FROM item_parameters
  INNER JOIN predicting_run ON item_parameters.as_of = predicting_run.as_of
  WHERE
    item_parameters.as_of >= DATE_SUB(
      DATE_SUB(@as_of, INTERVAL @horizon_days DAY), INTERVAL @reference_days DAY
    )
    AND item_parameters.as_of <= DATE_SUB(@as_of, INTERVAL @horizon_days DAY)
),

known_students AS (
  SELECT
    student_abilities.student_id,
    student_abilities.ability,
    student_abilities.ability_error
  FROM student_abilities
  INNER JOIN predicting_run ON student_abilities.as_of = predicting_run.as_of
  WHERE
    student_abilities.as_of >= DATE_SUB(
      DATE_SUB(@as_of, INTERVAL @horizon_days DAY), INTERVAL @reference_days DAY
    )
    AND student_abilities.as_of <= DATE_SUB(@as_of, INTERVAL @horizon_days DAY)
),

-- What is known of an ability is normal, and so are the log-odds that it gives.
later_answers AS (
  SELECT
    answers_latest.student_id,
    answers_latest.item_id,
    answers_latest.subject,
    known_items.as_of AS run_as_of,
    known_students.student_id IS NULL AS is_new_student,
    answers_latest.correct,
    answers_latest.answered_at,
    known_items.lower_asymptote AS least,
    known_items.upper_asymptote AS most,
    known_items.intercept
    + known_items.discrimination
    * COALESCE(known_students.ability, known_items.population_mean) AS level,
    known_items.discrimination
    * COALESCE(known_students.ability_error, known_items.population_deviation) AS spread
  FROM answers_latest
  -- Of an item that the run did not know it predicts nothing.
  INNER JOIN known_items ON answers_latest.item_id = known_items.item_id
  -- A student who is new has no ability yet.
  LEFT JOIN known_students ON answers_latest.student_id = known_students.student_id
  WHERE
    answers_latest.as_of = @as_of
    AND DATE(answers_latest.answered_at) > known_items.as_of
),

log_odds AS (
  SELECT
    later_answers.student_id,
    later_answers.item_id,
    later_answers.subject,
    later_answers.run_as_of,
    later_answers.is_new_student,
    later_answers.correct,
    later_answers.answered_at,
    later_answers.least,
    later_answers.most,
    later_answers.level + later_answers.spread * nodes.ability_0 AS node_0,
    later_answers.level + later_answers.spread * nodes.ability_1 AS node_1,
    later_answers.level + later_answers.spread * nodes.ability_2 AS node_2
  FROM later_answers
  CROSS JOIN nodes
),

-- EXP only ever sees numbers below 0: it can vanish, but not overflow.
shrunk AS (
  SELECT
    student_id,
    item_id,
    subject,
    run_as_of,
    is_new_student,
    correct,
    answered_at,
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
    student_id,
    item_id,
    subject,
    run_as_of,
    is_new_student,
    correct,
    answered_at,
    least,
    most,
    IF(node_0 >= 0, 1.0, small_0) / (1.0 + small_0) AS chance_0,
    IF(node_1 >= 0, 1.0, small_1) / (1.0 + small_1) AS chance_1,
    IF(node_2 >= 0, 1.0, small_2) / (1.0 + small_2) AS chance_2
  FROM shrunk
),

probabilities AS (
  SELECT
    chances.student_id,
    chances.item_id,
    chances.subject,
    chances.run_as_of,
    chances.is_new_student,
    chances.correct,
    chances.answered_at,
    chances.least,
    chances.most,
    (
      chances.chance_0 * nodes.density_0
      + chances.chance_1 * nodes.density_1
      + chances.chance_2 * nodes.density_2
    ) / nodes.mass AS chance
  FROM chances
  CROSS JOIN nodes
)

-- Nine digits are more than the parameters have, and make ties of what differs by rounding alone.
-- Within them no probability is 0 or 1, so that no answer costs infinitely much.
SELECT
  @as_of AS as_of,
  student_id,
  item_id,
  subject,
  run_as_of,
  is_new_student,
  correct,
  GREATEST(LEAST(ROUND(least + (most - least) * chance, 9), 1 - 1e-9), 1e-9) AS predicted,
  answered_at
FROM probabilities
