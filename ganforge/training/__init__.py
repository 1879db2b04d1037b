"""A run while it is trained: settings, resolving, setting up, following the engine, recording, recovering."""
