"""Calibrated items on their own: kept, exchanged, linked to other scales."""
