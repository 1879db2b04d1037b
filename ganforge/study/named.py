"""The studies that come with GANForge, found by name: ``ganforge study modes``."""

from __future__ import annotations

from pathlib import Path

from ganforge.errors import UsageError, closest

# In a wheel they are beside this file, in a checkout where people look for examples.
PLACES = (Path(__file__).parent / "examples", Path(__file__).parents[2] / "examples" / "studies")


def names() -> list[str]:
    """Return the names of the studies that come with GANForge."""
    return sorted({path.stem for place in PLACES for path in place.glob("*.toml")})


def find_study(file: Path) -> Path:
    """Return the file itself, or, if it does not exist and is a plain name, the built-in study of that name.

    Raises:
        UsageError: there is neither.
    """
    if file.exists() or file.suffix or len(file.parts) > 1:
        return file
    for place in PLACES:
        if (found := place / f"{file}.toml").is_file():
            return found
    known = names()
    raise UsageError(
        f"there is no study '{file}'; expected a file such as {file}.toml, or one of {', '.join(known)}."
        f"{closest(str(file), known)}"
    )
