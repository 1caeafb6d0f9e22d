output "bucket" {
  description = "Where runs are published."
  value       = google_storage_bucket.published.name
}

output "jobs" {
  description = "What to start by hand: gcloud run jobs execute NAME --region REGION."
  value       = { for name, job in google_cloud_run_v2_job.jobs : name => job.name }
}

output "images" {
  description = "Where images are pushed to."
  value       = "${var.region}-docker.pkg.dev/${var.project}/${google_artifact_registry_repository.images.repository_id}"
}

output "account" {
  description = "Whom to grant more, should a job need it."
  value       = google_service_account.jobs.email
}
