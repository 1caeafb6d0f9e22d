locals {
  runbook = "See docs/cloud_run.md: what went wrong, and how to roll back in two commands."
  # An alert stands until the next night's run had its chance, and half an hour more.
  a_night = "88200s"
}

resource "google_monitoring_notification_channel" "email" {
  for_each = var.emails

  display_name = each.key
  type         = "email"
  labels       = { email_address = each.key }

  depends_on = [google_project_service.needed]
}

# Cloud Run's own word on a whole execution, its retries included.
resource "google_monitoring_alert_policy" "failed" {
  display_name          = "etl: a job failed"
  combiner              = "OR"
  severity              = "ERROR"
  notification_channels = values(google_monitoring_notification_channel.email)[*].id

  conditions {
    display_name = "an execution failed after its last retry"

    condition_threshold {
      filter = join(" AND ", [
        "resource.type = \"cloud_run_job\"",
        "resource.labels.job_name = starts_with(\"etl-\")",
        "metric.type = \"run.googleapis.com/job/completed_execution_count\"",
        "metric.labels.result = \"failed\"",
      ])
      comparison      = "COMPARISON_GT"
      threshold_value = 0
      duration        = "0s"

      aggregations {
        alignment_period     = "300s"
        per_series_aligner   = "ALIGN_SUM"
        cross_series_reducer = "REDUCE_SUM"
        group_by_fields      = ["resource.label.job_name"]
      }
    }
  }

  documentation {
    mime_type = "text/markdown"
    content   = "Its log says why in one sentence of severity ERROR. What was published before is untouched. ${local.runbook}"
  }

  depends_on = [google_cloud_run_v2_job.jobs]
}

# Neither a failure nor a success: not started, killed, or its metrics lost. Conditions on absence
# end at a day, so that a job of each night needs one that counts.
resource "google_monitoring_alert_policy" "silent" {
  for_each = { for name, job in var.jobs : name => job if job.watch_hours != null }

  display_name          = "etl: ${each.value.job} has not succeeded for ${each.value.watch_hours} hours"
  combiner              = "OR"
  severity              = "ERROR"
  notification_channels = values(google_monitoring_notification_channel.email)[*].id

  conditions {
    display_name = "no success in ${each.value.watch_hours} hours"

    condition_prometheus_query_language {
      # A metric's label that its resource has too is found under metric_.
      query               = "(sum(sum_over_time({\"custom.googleapis.com/etl/job/success\", monitored_resource=\"generic_task\", metric_job=\"${each.value.job}\"}[${each.value.watch_hours}h])) or vector(0)) < 1"
      duration            = "0s"
      evaluation_interval = "300s"
    }
  }

  documentation {
    mime_type = "text/markdown"
    content   = "`gcloud run jobs executions list --job etl-${each.key}` says whether it was started. ${local.runbook}"
  }

  depends_on = [google_monitoring_metric_descriptor.jobs]
}

# The first point of a metric would make it; an alert on it has to be before that.
resource "google_monitoring_metric_descriptor" "jobs" {
  for_each = var.metrics

  type         = each.value.type
  display_name = "etl: ${each.key}"
  description  = each.value.about
  metric_kind  = "GAUGE"
  value_type   = each.value.value_type
  unit         = each.value.unit

  dynamic "labels" {
    for_each = each.value.labels
    content {
      key        = labels.value
      value_type = "STRING"
    }
  }

  depends_on = [google_project_service.needed]
}

# The bounds of the metrics' own table: old pointers, broken contracts, drift, accuracy.
resource "google_monitoring_alert_policy" "bounds" {
  for_each = var.alerts

  display_name          = "etl: ${each.key}"
  combiner              = "OR"
  severity              = "WARNING"
  notification_channels = values(google_monitoring_notification_channel.email)[*].id

  conditions {
    display_name = each.key

    condition_threshold {
      filter          = "resource.type = \"generic_task\" AND metric.type = \"${google_monitoring_metric_descriptor.jobs[each.value.metric].type}\""
      comparison      = each.value.side == "above" ? "COMPARISON_GT" : "COMPARISON_LT"
      threshold_value = each.value.threshold
      duration        = "0s"

      aggregations {
        alignment_period     = "3600s"
        per_series_aligner   = each.value.side == "above" ? "ALIGN_MAX" : "ALIGN_MIN"
        cross_series_reducer = each.value.side == "above" ? "REDUCE_MAX" : "REDUCE_MIN"
        group_by_fields      = ["metric.label.job"]
      }
    }
  }

  alert_strategy {
    auto_close = local.a_night
  }

  documentation {
    mime_type = "text/markdown"
    content   = "${var.metrics[each.value.metric].about} (unit ${var.metrics[each.value.metric].unit}). docs/telemetry.md says how to read it. ${local.runbook}"
  }
}
