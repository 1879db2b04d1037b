"""Comparing to understand: metrics, studies, diagnoses, comparisons and reports. No Keras at the top."""
