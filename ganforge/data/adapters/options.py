"""The options of ``--data FILE:key=value,…``."""

from __future__ import annotations

from pydantic import Field

from ganforge.plugin.options import Options


class FileOptions(Options):
    """Which part of a file holds the pictures, which the labels, and how a row is a picture."""

    images: str | None = Field(None, description="the key or column that holds the pictures, or paths to them")
    labels: str | None = Field(
        None, description="the key or column that holds the labels; for .npy and idx, a file beside it"
    )
    shape: tuple[int, ...] | None = Field(
        None, description="height-width or height-width-channels, where a row lists the numbers of a picture"
    )
