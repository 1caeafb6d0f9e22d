/*
The names under which the calibration reports its items.

grain: [item_id]
parameters:
  as_of: DATE, the last UTC day whose answers count
columns:
  item_id: STRING NOT NULL, question answered
  item_name: STRING, what the question was last called
  subject: STRING, the subject it last stood in
byte_budget: 50 GB
*/

SELECT
  item_id,
  item_name,
  subject
FROM item_features
WHERE as_of = @as_of
