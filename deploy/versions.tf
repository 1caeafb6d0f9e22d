terraform {
  required_version = ">= 1.9"

  required_providers {
    google = {
      source  = "hashicorp/google"
      version = ">= 6.50, < 8.0"
    }
  }

  # Which bucket is said once: terraform init -backend-config=bucket=NAME
  backend "gcs" {
    prefix = "etl-jobs"
  }
}

provider "google" {
  project = var.project
  region  = var.region
}
