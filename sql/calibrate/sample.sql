/*
All answers of a sample of students: those whose number lies below a bound.

grain: [student, outcome]
parameters:
  below: INT64, the bound
columns:
  student: INT64 NOT NULL, 60 bits of a hash of the student's id, from 0
  outcome: INT64 NOT NULL, twice the item's number, plus 1 for a right answer
*/

SELECT
  student,
  outcome
FROM calibration_answers
WHERE student < @below
