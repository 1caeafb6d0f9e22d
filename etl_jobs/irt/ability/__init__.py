"""Where persons stand on the scale of calibrated items."""
