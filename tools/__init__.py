"""Tools for the project itself, no part of the package: ``python -m tools.release``, ``python -m tools.numbers``."""
