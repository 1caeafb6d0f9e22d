# Who runs: reads logs, writes its own dataset and bucket, runs queries, writes metrics. No more.
resource "google_service_account" "jobs" {
  account_id   = "etl-jobs"
  display_name = "Runs etl-jobs"

  depends_on = [google_project_service.needed]
}

# Who starts: nothing but that.
resource "google_service_account" "scheduler" {
  account_id   = "etl-scheduler"
  display_name = "Starts etl-jobs on schedule"

  depends_on = [google_project_service.needed]
}

resource "google_project_iam_member" "jobs" {
  for_each = toset([
    "roles/bigquery.jobUser",
    # Rows are read through BigQuery's Storage API.
    "roles/bigquery.readSessionUser",
    "roles/monitoring.metricWriter",
  ])

  project = var.project
  role    = each.key
  member  = google_service_account.jobs.member
}

resource "google_bigquery_dataset_iam_member" "own" {
  dataset_id = google_bigquery_dataset.own.dataset_id
  role       = "roles/bigquery.dataEditor"
  member     = google_service_account.jobs.member
}

resource "google_bigquery_dataset_iam_member" "raw" {
  for_each = local.raw

  project    = each.value.project
  dataset_id = each.value.dataset
  role       = "roles/bigquery.dataViewer"
  member     = google_service_account.jobs.member

  depends_on = [google_bigquery_dataset.raw]
}

resource "google_storage_bucket_iam_member" "published" {
  bucket = google_storage_bucket.published.name
  role   = "roles/storage.objectUser"
  member = google_service_account.jobs.member
}

resource "google_cloud_run_v2_job_iam_member" "scheduler" {
  for_each = google_cloud_run_v2_job.jobs

  name     = each.value.name
  location = each.value.location
  role     = "roles/run.invoker"
  member   = google_service_account.scheduler.member
}
