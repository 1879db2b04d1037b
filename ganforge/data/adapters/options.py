"""The options of ``--data FILE:key=value,…``."""

from __future__ import annotations

from pydantic import Field

from ganforge.plugin.options import Options


class FileOptions(Options):
    """Where a file holds the pictures and labels, and the shape of a picture stored as a row."""

    images: str | None = Field(None, description="the key or column that holds the pictures, or paths to them")
    labels: str | None = Field(
        None, description="the key or column that holds the labels; for .npy and idx, a file beside it"
    )
    shape: tuple[int, ...] | None = Field(
        None, description="height-width or height-width-channels, if each row lists the values of a picture"
    )
