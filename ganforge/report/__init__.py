"""HTML pages about runs: a report in a file, or a live page."""
