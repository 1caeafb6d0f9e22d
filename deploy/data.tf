locals {
  bucket = coalesce(var.bucket, "${var.project}-etl")
  # Of "raw" or "another-project.raw".
  raw = {
    for name in var.raw_datasets : name => {
      project = length(split(".", name)) == 2 ? split(".", name)[0] : var.project
      dataset = reverse(split(".", name))[0]
    }
  }
}

resource "google_storage_bucket" "published" {
  name                        = local.bucket
  location                    = var.location
  storage_class               = "STANDARD"
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"
  # Terraform never deletes what was published.
  force_destroy = false

  # Parts, manifests and markers are never written twice; what changes is the pointers. A former
  # pointer says what was published when.
  versioning {
    enabled = true
  }

  # What was deleted by mistake comes back for two weeks.
  soft_delete_policy {
    retention_duration_seconds = 14 * 24 * 3600
  }

  # No rule deletes live objects by age: only `etl-jobs gc` knows which runs are still read.
  lifecycle_rule {
    action {
      type = "Delete"
    }
    condition {
      days_since_noncurrent_time = 30
      with_state                 = "ARCHIVED"
    }
  }

  lifecycle_rule {
    action {
      type = "AbortIncompleteMultipartUpload"
    }
    condition {
      age = 8
    }
  }

  lifecycle {
    prevent_destroy = true
  }

  depends_on = [google_project_service.needed]
}

# Tables are made by the jobs, whose contracts hold their columns.
resource "google_bigquery_dataset" "own" {
  dataset_id                 = var.dataset
  location                   = var.location
  description                = "Tables that etl-jobs makes; a run replaces its day."
  delete_contents_on_destroy = false
  # Time travel lets a retry read what its first attempt read, and a mistake be taken back.
  max_time_travel_hours = 168

  lifecycle {
    prevent_destroy = true
  }

  depends_on = [google_project_service.needed]
}

resource "google_bigquery_dataset" "raw" {
  for_each = { for name, place in local.raw : name => place if var.raw == "created" && place.project == var.project }

  dataset_id                 = each.value.dataset
  location                   = var.location
  description                = "Logs as they came."
  delete_contents_on_destroy = false
  max_time_travel_hours      = 168

  lifecycle {
    prevent_destroy = true
  }

  depends_on = [google_project_service.needed]
}
