"""The job that turns answers into published item parameters."""
