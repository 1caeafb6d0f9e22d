"""What Terraform is told of the jobs: choices from a file, facts from the contracts."""

from etl_jobs.deployment.variables import read_deployment

__all__ = ["read_deployment"]
