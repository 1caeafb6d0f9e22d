/*
The answers that count in two whole numbers each, for a calibration that sums them in the warehouse.

grain: [student, outcome]
parameters:
  as_of: DATE, the last UTC day whose answers count
columns:
  student: INT64 NOT NULL, 60 bits of a hash of the student's id, from 0
  outcome: INT64 NOT NULL, twice the item's number, plus 1 for a right answer
byte_budget: 500 GB
*/

SELECT
  -- Small and evenly spread: students below a bound are a sample of all.
  CAST(CONCAT('0x', SUBSTR(TO_HEX(MD5(answers_latest.student_id)), 1, 15)) AS INT64) AS student,
  2 * calibration_items.item + answers_latest.correct AS outcome
FROM answers_latest
-- Every item has a number: both were counted from the same answers.
INNER JOIN calibration_items ON answers_latest.item_id = calibration_items.item_id
WHERE answers_latest.as_of = @as_of
