"""From answers to item parameters and their errors: EM, its acceleration, its checks."""
