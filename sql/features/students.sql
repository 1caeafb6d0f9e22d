/*
What is known of a student before any model: how much was answered, how well, how regularly.

output: student_features
partition: as_of
publish: [csv.gz, parquet]
grain: [as_of, student_id]
parameters:
  as_of: DATE, the last UTC day whose answers count
columns:
  as_of: DATE NOT NULL, the last UTC day whose answers count
  student_id: STRING NOT NULL, pseudonymous student
  answers: INT64 NOT NULL, items with an answer that counts
  correct_answers: INT64 NOT NULL, right ones among them
  share_correct: FLOAT64 NOT NULL, from 0 to 1
  mean_item_share_correct: FLOAT64 NOT NULL, mean over the answered items of all students' share correct
  share_above_expected: FLOAT64 NOT NULL, share_correct less mean_item_share_correct
  mean_attempts: FLOAT64 NOT NULL, valid attempts for each item
  subjects: INT64 NOT NULL, distinct subjects answered
  active_days: INT64 NOT NULL, UTC days with an answer that counts
  answers_last_7_days: INT64 NOT NULL, answers given in the 7 days up to the day
  answers_last_28_days: INT64 NOT NULL, answers given in the 28 days up to the day
  first_answered_at: TIMESTAMP NOT NULL, UTC
  last_answered_at: TIMESTAMP NOT NULL, UTC
checks:
  share_is_a_share: share_correct BETWEEN 0 AND 1
  right_answers_are_answers: correct_answers <= answers
  days_hold_answers: active_days BETWEEN 1 AND answers
  times_are_in_order: first_answered_at <= last_answered_at
byte_budget: 500 GB
*/

WITH answers_with_item_share AS (
  SELECT
    student_id,
    subject,
    correct,
    attempts,
    answered_at,
    AVG(correct) OVER (PARTITION BY item_id) AS item_share_correct
  FROM answers_latest
  WHERE as_of = @as_of
)

-- Rounded, so that a repeated run leaves the same bytes.
SELECT
  @as_of AS as_of,
  student_id,
  COUNT(*) AS answers,
  SUM(correct) AS correct_answers,
  ROUND(AVG(correct), 6) AS share_correct,
  ROUND(AVG(item_share_correct), 6) AS mean_item_share_correct,
  ROUND(AVG(correct) - AVG(item_share_correct), 6) AS share_above_expected,
  ROUND(AVG(attempts), 6) AS mean_attempts,
  COUNT(DISTINCT subject) AS subjects,
  COUNT(DISTINCT DATE(answered_at)) AS active_days,
  COUNTIF(DATE(answered_at) > DATE_SUB(@as_of, INTERVAL 7 DAY)) AS answers_last_7_days,
  COUNTIF(DATE(answered_at) > DATE_SUB(@as_of, INTERVAL 28 DAY)) AS answers_last_28_days,
  MIN(answered_at) AS first_answered_at,
  MAX(answered_at) AS last_answered_at
FROM answers_with_item_share
GROUP BY student_id
