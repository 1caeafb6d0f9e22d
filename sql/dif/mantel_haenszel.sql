/*
Items that treat two groups of equally able students differently: Mantel and Haenszel's odds ratio.

output: item_mantel_haenszel
partition: as_of
publish: [csv.gz, parquet]
grain: [as_of, item_id]
parameters:
  as_of: DATE, the last UTC day whose answers count
  reference:
    type: STRING
    about: the group that the other is compared with
  focal:
    type: STRING
    about: the group for which items may be harder or easier
columns:
  as_of: DATE NOT NULL, the last UTC day whose answers count
  item_id: STRING NOT NULL, question answered
  ets_class: STRING, A negligible, B moderate, C large; NULL where nothing can be compared
  odds_ratio: FLOAT64, odds of a right answer in the reference group over those in the focal one
  delta: FLOAT64, the same as -2.35 ln(odds ratio); below 0 it is harder for the focal group
  delta_error: FLOAT64, its standard error
  chi_squared: FLOAT64, with Yates' continuity correction, of one degree of freedom
  reference_answers: INT64 NOT NULL, answers of the reference group
  focal_answers: INT64 NOT NULL, answers of the focal group
checks:
  classes_are_known: ets_class IN ('A', 'B', 'C')
byte_budget: 500 GB
*/

WITH compared_students AS (
  SELECT
    student_id,
    MIN(student_group) = @focal AS is_focal
  FROM raw.student_groups
  WHERE student_group IN (@reference, @focal)
  GROUP BY student_id
  -- Who is said to be of both is of neither.
  HAVING COUNT(DISTINCT student_group) = 1
),

scored_answers AS (
  SELECT
    answers_latest.item_id,
    answers_latest.correct,
    compared_students.is_focal,
    -- Who gave as many answers, and as many right ones, counts as equally able. The item itself is
    -- among them: without it, items seem to favour the abler group.
    COUNT(*) OVER (PARTITION BY answers_latest.student_id) AS student_answers,
    SUM(answers_latest.correct) OVER (PARTITION BY answers_latest.student_id) AS score
  FROM answers_latest
  -- Students of no group, or of a third one, take no part.
  INNER JOIN compared_students
    ON answers_latest.student_id = compared_students.student_id
  WHERE answers_latest.as_of = @as_of
),

tables AS (
  SELECT
    item_id,
    CAST(COUNTIF(NOT is_focal AND correct = 1) AS FLOAT64) AS reference_right,
    CAST(COUNTIF(NOT is_focal AND correct = 0) AS FLOAT64) AS reference_wrong,
    CAST(COUNTIF(is_focal AND correct = 1) AS FLOAT64) AS focal_right,
    CAST(COUNTIF(is_focal AND correct = 0) AS FLOAT64) AS focal_wrong,
    CAST(COUNT(*) AS FLOAT64) AS total
  FROM scored_answers
  GROUP BY item_id, student_answers, score
),

ratios AS (
  SELECT
    item_id,
    SUM(reference_right) AS reference_right,
    SUM(reference_right + reference_wrong) AS reference_answers,
    SUM(focal_right + focal_wrong) AS focal_answers,
    SUM(reference_right * focal_wrong / total) AS agreeing,
    SUM(reference_wrong * focal_right / total) AS differing,
    SUM((reference_right + reference_wrong) * (reference_right + focal_right) / total) AS expected,
    -- A stratum of one student has nothing to vary.
    SUM(
      (reference_right + reference_wrong)
      * (focal_right + focal_wrong)
      * (reference_right + focal_right)
      * (reference_wrong + focal_wrong)
      / (total * total * GREATEST(total - 1, 1))
    ) AS variance
  FROM tables
  GROUP BY item_id
),

-- Odds of 0 or of infinity are no measure of a difference.
comparable AS (
  SELECT
    item_id,
    agreeing,
    agreeing / differing AS odds_ratio,
    POW(GREATEST(ABS(reference_right - expected) - 0.5, 0), 2) / variance AS chi_squared
  FROM ratios
  WHERE agreeing > 0 AND differing > 0 AND variance > 0
),

-- Robins, Breslow and Greenland (1986).
spreads AS (
  SELECT
    tables.item_id,
    SUM(
      (
        tables.reference_right * tables.focal_wrong
        + comparable.odds_ratio * tables.reference_wrong * tables.focal_right
      )
      * (
        tables.reference_right + tables.focal_wrong
        + comparable.odds_ratio * (tables.reference_wrong + tables.focal_right)
      )
      / (tables.total * tables.total)
    ) AS spread
  FROM tables
  -- An item that cannot be compared has no spread.
  INNER JOIN comparable ON tables.item_id = comparable.item_id
  GROUP BY tables.item_id
),

deltas AS (
  SELECT
    comparable.item_id,
    comparable.odds_ratio,
    comparable.chi_squared,
    -2.35 * LN(comparable.odds_ratio) AS delta,
    2.35 * SQRT(spreads.spread / (2 * POW(comparable.agreeing, 2))) AS delta_error
  FROM comparable
  -- One row for each on both sides.
  INNER JOIN spreads ON comparable.item_id = spreads.item_id
)

SELECT
  @as_of AS as_of,
  ratios.item_id,
  -- 3.841... is exceeded by chance in one of twenty; so is 1.645 standard errors, to one side.
  CASE
    WHEN deltas.delta IS NULL THEN NULL
    WHEN ABS(deltas.delta) < 1 OR deltas.chi_squared <= 3.841458820694124 THEN 'A'
    WHEN ABS(deltas.delta) >= 1.5 AND ABS(deltas.delta) - 1 > 1.645 * deltas.delta_error THEN 'C'
    ELSE 'B'
  END AS ets_class,
  ROUND(deltas.odds_ratio, 9) AS odds_ratio,
  ROUND(deltas.delta, 9) AS delta,
  ROUND(deltas.delta_error, 9) AS delta_error,
  ROUND(deltas.chi_squared, 9) AS chi_squared,
  CAST(ratios.reference_answers AS INT64) AS reference_answers,
  CAST(ratios.focal_answers AS INT64) AS focal_answers
FROM ratios
-- An item that cannot be compared has no delta.
LEFT JOIN deltas ON ratios.item_id = deltas.item_id
