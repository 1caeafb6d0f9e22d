/*
Why rows of the raw log do not count: every row of raw.answers either stands in answers_latest
or is counted here once, under the first rule that it meets.

output: answers_rejected
partition: as_of
grain: [as_of, reason]
parameters:
  as_of: DATE, the last UTC day whose answers count
columns:
  as_of: DATE NOT NULL, the last UTC day whose answers count
  reason: STRING NOT NULL, the rule in words
  answers: INT64 NOT NULL, rows of the raw log that it leaves out
checks:
  reasons_have_rows: answers >= 1
byte_budget: 500 GB
if_empty: allowed
summary: rows left out
*/

WITH judged_answers AS (
  SELECT
    CASE
      WHEN answered_at IS NULL THEN 'no time'
      WHEN answered_at >= TIMESTAMP(DATE_ADD(@as_of, INTERVAL 1 DAY)) THEN 'after the day'
      WHEN COALESCE(TRIM(answer_id), '') = '' THEN 'no answer id'
      WHEN COALESCE(TRIM(student_id), '') = '' THEN 'no student id'
      WHEN COALESCE(TRIM(item_id), '') = '' THEN 'no item id'
      WHEN
        GREATEST(LENGTH(answer_id), LENGTH(student_id), LENGTH(item_id)) > 1024
        THEN 'an id over 1,024 characters'
      WHEN correct IS NULL THEN 'not scored'
      WHEN correct NOT IN (0, 1) THEN 'correct is not 0 or 1'
    END AS broken_rule,
    answer_id,
    student_id,
    item_id,
    answered_at
  FROM raw.answers
),

numbered_deliveries AS (
  SELECT
    broken_rule,
    student_id,
    item_id,
    -- Chooses the student and item that answers/latest chooses for an answer_id.
    ROW_NUMBER() OVER (
      PARTITION BY broken_rule, answer_id
      ORDER BY answered_at, student_id, item_id
    ) AS delivery
  FROM judged_answers
),

numbered_attempts AS (
  SELECT
    broken_rule,
    delivery,
    ROW_NUMBER() OVER (PARTITION BY broken_rule, delivery, student_id, item_id) AS attempt
  FROM numbered_deliveries
),

rejected_answers AS (
  SELECT
    CASE
      WHEN broken_rule IS NOT NULL THEN broken_rule
      WHEN delivery > 1 THEN 'a repeat of the same answer id'
      WHEN attempt > 1 THEN 'another attempt at the same item'
    END AS reason
  FROM numbered_attempts
)

SELECT
  @as_of AS as_of,
  reason,
  COUNT(*) AS answers
FROM rejected_answers
WHERE reason IS NOT NULL
GROUP BY reason
