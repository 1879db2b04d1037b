"""What is wrong with a run, and what would help."""
