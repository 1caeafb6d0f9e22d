/*
One answer per student and item: of the valid answers given up to a day, the one that counts.

output: answers_latest
partition: as_of
grain: [as_of, student_id, item_id]
parameters:
  as_of: DATE, the last UTC day whose answers count
  attempt:
    type: STRING
    about: which of a student's answers to an item counts
    default: first
    one_of: [first, latest]
columns:
  as_of: DATE NOT NULL, the last UTC day whose answers count
  student_id: STRING NOT NULL, pseudonymous student
  item_id: STRING NOT NULL, question answered
  answer_id: STRING NOT NULL, the answer that counts
  item_name: STRING, what the question is called
  subject: STRING, normalised to lower case and single spaces
  exam: STRING, normalised like subject
  correct: INT64 NOT NULL, 1 for a right answer and 0 for a wrong one
  attempts: INT64 NOT NULL, valid answers of the student to the item up to the day
  answered_at: TIMESTAMP NOT NULL, UTC
checks:
  correct_is_0_or_1: correct IN (0, 1)
  attempts_are_counted: attempts >= 1
  ids_are_not_blank: TRIM(student_id) != '' AND TRIM(item_id) != ''
byte_budget: 500 GB
if_empty: No row of raw.answers counts up to the day; run answers/rejected, which says why.
*/

WITH valid_answers AS (
  SELECT
    answer_id,
    student_id,
    item_id,
    NULLIF(TRIM(REGEXP_REPLACE(item_name, r'\s+', ' ')), '') AS item_name,
    NULLIF(LOWER(TRIM(REGEXP_REPLACE(NORMALIZE(subject, NFKC), r'\s+', ' '))), '') AS subject,
    NULLIF(LOWER(TRIM(REGEXP_REPLACE(NORMALIZE(exam, NFKC), r'\s+', ' '))), '') AS exam,
    correct,
    answered_at
  FROM raw.answers
  WHERE
    answered_at < TIMESTAMP(DATE_ADD(@as_of, INTERVAL 1 DAY))
    AND TRIM(answer_id) != ''
    AND TRIM(student_id) != ''
    AND TRIM(item_id) != ''
    -- Longer ids come from a wrong column, such as the text of the answer.
    AND GREATEST(LENGTH(answer_id), LENGTH(student_id), LENGTH(item_id)) <= 1024
    AND correct IN (0, 1)
),

-- A replayed event brings the same answer_id again. Every column takes part in the order, so
-- that even contradicting replays fall the same way on every run.
distinct_answers AS (
  SELECT
    answer_id,
    student_id,
    item_id,
    item_name,
    subject,
    exam,
    correct,
    answered_at
  FROM valid_answers
  QUALIFY
    ROW_NUMBER() OVER (
      PARTITION BY answer_id
      ORDER BY answered_at, student_id, item_id, correct, subject, exam, item_name
    ) = 1
)

SELECT
  @as_of AS as_of,
  student_id,
  item_id,
  answer_id,
  item_name,
  subject,
  exam,
  correct,
  COUNT(*) OVER (PARTITION BY student_id, item_id) AS attempts,
  answered_at
FROM distinct_answers
QUALIFY
  -- answer_id last: ties must fall the same way on every run.
  CASE @attempt
    WHEN 'first' THEN ROW_NUMBER() OVER (
      PARTITION BY student_id, item_id
      ORDER BY answered_at, answer_id
    )
    WHEN 'latest' THEN ROW_NUMBER() OVER (
      PARTITION BY student_id, item_id
      ORDER BY answered_at DESC, answer_id DESC
    )
  END = 1
