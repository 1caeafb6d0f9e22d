/*
How many students there are, by their ids and by the numbers that stand for them.

grain: [students]
parameters:
  as_of: DATE, the last UTC day whose answers count
columns:
  students: INT64 NOT NULL, ids
  numbers: INT64 NOT NULL, numbers; fewer where two ids share one
*/

SELECT
  COUNT(DISTINCT student_id) AS students,
  (SELECT COUNT(DISTINCT student) FROM calibration_answers) AS numbers
FROM answers_latest
WHERE as_of = @as_of
-- No row where there is no student.
HAVING COUNT(*) > 0
