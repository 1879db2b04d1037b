"""Why Pillow does not read a file, and the way out, from how the file begins and what it is called."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import PurePosixPath

NOT_READ = "not an image that Pillow can read"
_TIFF = "a TIFF that is damaged, or has a depth or layout that Pillow cannot read; save it with 8 or 16 bits"
# Packages that teach Pillow a format when they are imported: where they are installed, they are used.
READERS = ("pillow_heif", "pillow_jxl")
_RAW = frozenset([".cr2", ".cr3", ".nef", ".arw", ".dng", ".raf", ".rw2", ".orf", ".pef", ".srw"])
_BY_SUFFIX = {
    "a HEIC picture: pip install pillow-heif to read it": frozenset((".heic", ".heif", ".hif")),
    "a JPEG XL picture: pip install pillow-jxl-plugin to read it": frozenset((".jxl",)),
    "a DICOM file: save it as a 16-bit PNG or TIFF, for example with pydicom": frozenset((".dcm", ".dicom")),
    "an SVG drawing: save it as a PNG": frozenset((".svg", ".svgz")),
    "a camera's raw file: convert it to a TIFF or JPEG, for example with rawpy": _RAW,
    "a NIfTI volume: save its slices as 16-bit PNG or TIFF, for example with nibabel": frozenset((".nii",)),
    "a program's own file: save it as a PNG": frozenset((".ai", ".xcf", ".kra", ".afphoto")),
    "a WMF or EMF drawing: save it as a PNG": frozenset((".wmf", ".emf")),
}
_HEIC = frozenset((b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"))


@cache
def readers() -> tuple[str, ...]:
    """Return which of ``READERS`` are installed, without importing them."""
    return tuple(name for name in READERS if find_spec(name))


def use_readers() -> None:
    """Let those of ``READERS`` that are installed teach Pillow their formats."""
    for name in readers():
        try:
            module = import_module(name)
            if name == "pillow_heif":
                module.register_heif_opener()
        except Exception:  # a broken install of an extra must not cost the other pictures
            continue


def hint(name: str, content: bytes) -> str:
    """Return why the file ``name``, which Pillow does not know, cannot be read, and what helps, in a few words."""
    if not content:
        return "empty file"
    if content.startswith((b"%!PS", b"\xc5\xd0\xd3\xc6")):
        return "an EPS file, which is a program; save it as a PNG"
    suffix = PurePosixPath(name).suffix.lower()
    if content[4:8] == b"ftyp" and content[8:12] in _HEIC:
        suffix = ".heic"
    elif content.startswith((b"\xff\x0a", b"\0\0\0\x0cJXL ")):
        suffix = ".jxl"
    elif content[128:132] == b"DICM":
        suffix = ".dcm"
    elif content[8:10] == b"CR" and content[:2] in (b"II", b"MM"):
        suffix = ".cr2"
    elif b"<svg" in content[:1000]:
        suffix = ".svg"
    elif content.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")) and suffix not in _RAW:
        return _TIFF
    return next((words for words, suffixes in _BY_SUFFIX.items() if suffix in suffixes), NOT_READ)
