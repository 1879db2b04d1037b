"""The command line: one short file a command, loaded when called."""

from __future__ import annotations

from ganforge.cli.group import cli, main

__all__ = ["cli", "main"]
