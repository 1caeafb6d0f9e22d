/*
How a student does in each subject.

output: student_subject_features
partition: as_of
publish: [csv.gz, parquet]
grain: [as_of, student_id, subject]
parameters:
  as_of: DATE, the last UTC day whose answers count
columns:
  as_of: DATE NOT NULL, the last UTC day whose answers count
  student_id: STRING NOT NULL, pseudonymous student
  subject: STRING NOT NULL, normalised; 'unknown' where the log names none
  answers: INT64 NOT NULL, items of the subject with an answer that counts
  correct_answers: INT64 NOT NULL, right ones among them
  share_correct: FLOAT64 NOT NULL, from 0 to 1
  first_answered_at: TIMESTAMP NOT NULL, UTC
  last_answered_at: TIMESTAMP NOT NULL, UTC
checks:
  share_is_a_share: share_correct BETWEEN 0 AND 1
  right_answers_are_answers: correct_answers <= answers
byte_budget: 500 GB
*/

-- A step of its own: a column alias hides a column of that name from GROUP BY.
WITH answers_with_subject AS (
  SELECT
    student_id,
    COALESCE(subject, 'unknown') AS subject,
    correct,
    answered_at
  FROM answers_latest
  WHERE as_of = @as_of
)

SELECT
  @as_of AS as_of,
  student_id,
  subject,
  COUNT(*) AS answers,
  SUM(correct) AS correct_answers,
  ROUND(AVG(correct), 6) AS share_correct,
  MIN(answered_at) AS first_answered_at,
  MAX(answered_at) AS last_answered_at
FROM answers_with_subject
GROUP BY student_id, subject
