"""Whether the published numbers still hold for the answers that come in."""
