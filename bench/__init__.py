"""Measurements: one command each, ratios in one run rather than seconds."""
