"""Files that are complete or absent, never half."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from ganforge.errors import GANForgeError


def write_atomic(path: Path, content: bytes) -> None:
    """Write a file by way of a temporary one beside it, on the disk before it takes the name."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    """Write a value as indented JSON, atomically."""
    write_atomic(path, (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode())


def read_json(path: Path) -> Any:
    """Read a JSON file. Raises ``GANForgeError`` when it is damaged."""
    try:
        return json.loads(path.read_text("utf-8"))
    except (ValueError, OSError) as error:
        raise GANForgeError(f"{path} cannot be read: {(str(error).splitlines() or [''])[0]}") from None
