/*
What the calibration learns from: who answered which item, and whether rightly.

grain: [student_id, item_id]
parameters:
  as_of: DATE, the last UTC day whose answers count
columns:
  student_id: STRING NOT NULL, pseudonymous student
  item_id: STRING NOT NULL, question answered
  correct: INT64 NOT NULL, 1 for a right answer and 0 for a wrong one
byte_budget: 500 GB
*/

SELECT
  student_id,
  item_id,
  correct
FROM answers_latest
WHERE as_of = @as_of
