"""What a model says: curves, priors, and which numbers of it are free."""
