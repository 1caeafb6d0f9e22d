locals {
  # Every job is told the same place.
  place = [
    "--project", var.project,
    "--dataset", var.dataset,
    "--bucket", google_storage_bucket.published.name,
    "--location", var.location,
  ]
}

resource "google_cloud_run_v2_job" "jobs" {
  for_each = var.jobs

  name     = "etl-${each.key}"
  location = var.region
  # It holds no data: jobs.yaml may drop it or name it anew.
  deletion_protection = false

  template {
    task_count  = each.value.tasks
    parallelism = each.value.tasks

    template {
      service_account = google_service_account.jobs.email
      timeout         = "${each.value.timeout_seconds}s"
      max_retries     = each.value.retries

      containers {
        image = var.image
        args  = concat(each.value.arguments, local.place)

        # Cloud Run itself does not say it; entries of the log name traces by it.
        env {
          name  = "GOOGLE_CLOUD_PROJECT"
          value = var.project
        }

        resources {
          limits = {
            cpu    = tostring(each.value.cpu)
            memory = "${each.value.memory_mebibytes}Mi"
          }
        }
      }
    }
  }

  depends_on = [
    google_project_iam_member.jobs,
    google_bigquery_dataset_iam_member.own,
    google_bigquery_dataset_iam_member.raw,
    google_storage_bucket_iam_member.published,
  ]
}

resource "google_cloud_scheduler_job" "jobs" {
  for_each = { for name, job in var.jobs : name => job if job.schedule != null }

  name        = "etl-${each.key}"
  region      = var.region
  description = each.value.description
  schedule    = each.value.schedule
  # A run describes a UTC day.
  time_zone = "Etc/UTC"
  # Until Cloud Run has answered that the execution began.
  attempt_deadline = "180s"

  http_target {
    http_method = "POST"
    uri         = "https://run.googleapis.com/v2/${google_cloud_run_v2_job.jobs[each.key].id}:run"

    oauth_token {
      service_account_email = google_service_account.scheduler.email
    }
  }

  # Started twice is started once: an equal run has nothing to do.
  retry_config {
    retry_count          = 3
    min_backoff_duration = "30s"
  }

  depends_on = [google_cloud_run_v2_job_iam_member.scheduler]
}
