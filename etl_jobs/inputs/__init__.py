"""A team's own log, in its own format and words, as the rows of a table our jobs read."""
