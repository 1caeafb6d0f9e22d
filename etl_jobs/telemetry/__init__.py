"""What every run tells Cloud Monitoring, or a file in its place, of itself."""
