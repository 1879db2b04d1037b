"""What a run is worth, in numbers that need no download: one short file a metric."""
