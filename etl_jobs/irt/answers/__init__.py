"""Answers as they come in, and as the arithmetic wants them."""
