/*
Which group each student is of, for items that may not treat groups alike.

grain: [student_id]
columns:
  student_id: STRING NOT NULL, who answers
  student_group: STRING NOT NULL, the group; of several, the first in alphabetical order
  memberships: INT64 NOT NULL, groups that the student is said to be of
byte_budget: 50 GB
*/

SELECT
  student_id,
  MIN(student_group) AS student_group,
  COUNT(DISTINCT student_group) AS memberships
FROM raw.student_groups
-- A blank is no group.
WHERE TRIM(student_id) != '' AND TRIM(student_group) != ''
GROUP BY student_id
