"""Where else a run's log lines go."""
