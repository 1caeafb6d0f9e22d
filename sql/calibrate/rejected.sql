/*
How many rows of the raw log each cleaning rule left out, for the report.

grain: [reason]
parameters:
  as_of: DATE, the last UTC day whose answers count
columns:
  reason: STRING NOT NULL, the rule in words
  answers: INT64 NOT NULL, rows of the raw log that it leaves out
byte_budget: 1 GB
*/

SELECT
  reason,
  answers
FROM answers_rejected
WHERE as_of = @as_of
ORDER BY answers DESC, reason
