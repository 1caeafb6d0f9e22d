resource "google_project_service" "needed" {
  for_each = toset([
    "artifactregistry.googleapis.com",
    "bigquery.googleapis.com",
    "bigquerystorage.googleapis.com",
    "cloudbuild.googleapis.com",
    "cloudscheduler.googleapis.com",
    "iam.googleapis.com",
    "monitoring.googleapis.com",
    "run.googleapis.com",
    "storage.googleapis.com",
  ])

  service = each.key
  # Others in the project may need it.
  disable_on_destroy = false
}

resource "google_artifact_registry_repository" "images" {
  repository_id = "etl"
  location      = var.region
  format        = "DOCKER"
  description   = "Images of etl-jobs."

  docker_config {
    # A tag that alerts and logs name stays what it was.
    immutable_tags = true
  }

  depends_on = [google_project_service.needed]
}
