/*
The items to calibrate: the names to report them under, and how often each was answered.

grain: [item_id]
parameters:
  as_of: DATE, the last UTC day whose answers count
columns:
  item_id: STRING NOT NULL, question answered
  item_name: STRING, what the question was last called
  subject: STRING, the subject it last stood in
  answers: INT64 NOT NULL, students whose answer counts
  correct_answers: INT64 NOT NULL, right ones among them
byte_budget: 50 GB
*/

SELECT
  item_id,
  item_name,
  subject,
  answers,
  correct_answers
FROM item_features
WHERE as_of = @as_of
