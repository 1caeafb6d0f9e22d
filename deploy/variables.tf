variable "project" {
  description = "The Google Cloud project that everything is in, and that pays."
  type        = string
}

variable "region" {
  description = "Where the jobs run and the images are, such as europe-west1."
  type        = string
}

variable "location" {
  description = "Where the data is: BigQuery's location, such as EU, and the bucket's."
  type        = string
}

variable "image" {
  description = "The image, by tag or digest: REGION-docker.pkg.dev/PROJECT/etl/jobs:0.1.0."
  type        = string

  validation {
    condition     = can(regex("(@sha256:[0-9a-f]{64}|:[A-Za-z0-9_.-]+)$", var.image)) && !endswith(var.image, ":latest")
    error_message = "Name one image, by tag or digest; with :latest nobody knows what ran last night."
  }
}

variable "bucket" {
  description = "The bucket to publish to; by default PROJECT-etl."
  type        = string
  default     = null
}

variable "dataset" {
  description = "The dataset of the jobs' own tables."
  type        = string
  default     = "etl"
}

variable "raw" {
  description = "The datasets that logs are in: there already, or to be created."
  type        = string
  default     = "existing"

  validation {
    condition     = contains(["existing", "created"], var.raw)
    error_message = "Expected existing or created."
  }
}

variable "emails" {
  description = "Whom alerts tell."
  type        = set(string)
  default     = []
}

# What `etl-jobs deployment` writes to jobs.auto.tfvars.json.

variable "jobs" {
  description = "The jobs, by Cloud Run's name for them."
  type = map(object({
    job              = optional(string)
    description      = string
    arguments        = list(string)
    schedule         = optional(string)
    watch_hours      = optional(number)
    timeout_seconds  = number
    cpu              = number
    memory_mebibytes = number
    retries          = number
    tasks            = number
  }))
}

variable "raw_datasets" {
  description = "The datasets whose tables the jobs read and none makes; PROJECT.DATASET for another project's."
  type        = set(string)
}

variable "metrics" {
  description = "What runs tell Monitoring, by names within the jobs."
  type = map(object({
    type       = string
    about      = string
    value_type = string
    unit       = string
    labels     = list(string)
  }))
}

variable "alerts" {
  description = "The bounds of the metrics, each by a name that says it."
  type = map(object({
    metric    = string
    side      = string
    threshold = number
  }))
}
