"""Measurements, not tests: see ``docs/performance.md``."""
