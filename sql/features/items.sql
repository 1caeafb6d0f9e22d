/*
What is known of an item before any model: how often it was answered, how well, by whom and when.

output: item_features
partition: as_of
publish: [csv.gz, parquet]
grain: [as_of, item_id]
parameters:
  as_of: DATE, the last UTC day whose answers count
columns:
  as_of: DATE NOT NULL, the last UTC day whose answers count
  item_id: STRING NOT NULL, question answered
  item_name: STRING, what the question was last called
  subject: STRING, the subject it last stood in
  exam: STRING, the exam it last stood in
  answers: INT64 NOT NULL, students whose answer counts (one answer each)
  correct_answers: INT64 NOT NULL, right ones among them
  share_correct: FLOAT64 NOT NULL, from 0 to 1
  mean_attempts: FLOAT64 NOT NULL, valid attempts for each student
  students_with_other_items: INT64 NOT NULL, students with an answer to some other item
  mean_rest_share_right: FLOAT64, mean share correct on other items of students right on this one
  mean_rest_share_wrong: FLOAT64, the same of students wrong on this one
  sd_rest_share: FLOAT64, standard deviation of the share correct on other items
  point_biserial: FLOAT64, correlation of correct with the share correct on other items
  answers_last_28_days: INT64 NOT NULL, answers given in the 28 days up to the day
  first_answered_at: TIMESTAMP NOT NULL, UTC
  last_answered_at: TIMESTAMP NOT NULL, UTC
checks:
  share_is_a_share: share_correct BETWEEN 0 AND 1
  right_answers_are_answers: correct_answers <= answers
  correlation_is_in_range: point_biserial IS NULL OR point_biserial BETWEEN -1 AND 1
  times_are_in_order: first_answered_at <= last_answered_at
byte_budget: 500 GB
*/

WITH answers_with_rest AS (
  SELECT
    student_id,
    item_id,
    item_name,
    subject,
    exam,
    correct,
    attempts,
    answered_at,
    -- The student's share correct on all other items: the item itself would inflate its own
    -- correlation. NULL for a student of one item.
    SAFE_DIVIDE(
      SUM(correct) OVER (PARTITION BY student_id) - correct,
      COUNT(*) OVER (PARTITION BY student_id) - 1
    ) AS rest_share,
    -- Names may change over time: the latest stands for the item.
    ROW_NUMBER() OVER (PARTITION BY item_id ORDER BY answered_at DESC, answer_id DESC) AS recency
  FROM answers_latest
  WHERE as_of = @as_of
)

-- Sums of floating-point numbers depend on the order of the rows in their last digits; rounding
-- keeps a repeated run at the same bytes.
SELECT
  @as_of AS as_of,
  item_id,
  MAX(IF(recency = 1, item_name, NULL)) AS item_name,
  MAX(IF(recency = 1, subject, NULL)) AS subject,
  MAX(IF(recency = 1, exam, NULL)) AS exam,
  COUNT(*) AS answers,
  SUM(correct) AS correct_answers,
  ROUND(AVG(correct), 6) AS share_correct,
  ROUND(AVG(attempts), 6) AS mean_attempts,
  COUNT(rest_share) AS students_with_other_items,
  ROUND(AVG(IF(correct = 1, rest_share, NULL)), 6) AS mean_rest_share_right,
  ROUND(AVG(IF(correct = 0, rest_share, NULL)), 6) AS mean_rest_share_wrong,
  ROUND(STDDEV_SAMP(rest_share), 6) AS sd_rest_share,
  -- Without spread in either variable there is no correlation; CORR would answer NaN.
  IF(
    MIN(IF(rest_share IS NULL, NULL, correct)) < MAX(IF(rest_share IS NULL, NULL, correct))
    AND STDDEV_SAMP(rest_share) > 1e-9,
    ROUND(CORR(correct, rest_share), 6),
    NULL
  ) AS point_biserial,
  COUNTIF(DATE(answered_at) > DATE_SUB(@as_of, INTERVAL 28 DAY)) AS answers_last_28_days,
  MIN(answered_at) AS first_answered_at,
  MAX(answered_at) AS last_answered_at
FROM answers_with_rest
GROUP BY item_id
