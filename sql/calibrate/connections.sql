/*
Which blocks of items students join: a block is what is known already to hang together.

grain: [block, joined]
columns:
  block: INT64 NOT NULL, the least of the blocks that a student answered items of
  joined: INT64 NOT NULL, another one of them
*/

WITH seen AS (
  SELECT DISTINCT
    calibration_answers.student,
    calibration_blocks.block
  FROM calibration_answers
  -- Every outcome has its block.
  INNER JOIN calibration_blocks ON calibration_answers.outcome = calibration_blocks.outcome
),

beside_the_least AS (
  SELECT
    MIN(block) OVER (PARTITION BY student) AS block,
    block AS joined
  FROM seen
)

-- The least and each other one: whatever a student joins hangs together by these.
SELECT DISTINCT
  block,
  joined
FROM beside_the_least
WHERE block < joined
