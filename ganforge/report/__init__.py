"""Runs as a page: a file, or live."""
