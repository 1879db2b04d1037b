"""The wheel and the source distribution: built, looked at, and installed as a stranger would."""

from __future__ import annotations

import os
import re
import sys
import tarfile
import tempfile
import tomllib
import zipfile
from collections.abc import Sequence
from email.parser import Parser
from pathlib import Path

from tools.shell import Failed, git, read, run


def wheel_of(root: Path, version: str) -> Path:
    return root / "dist" / f"ganforge-{version}-py3-none-any.whl"


def source_of(root: Path, version: str) -> Path:
    return root / "dist" / f"ganforge-{version}.tar.gz"


def build(root: Path, version: str) -> str:
    """Build the source distribution, and the wheel out of that; every committed file of the package must be in it."""
    wheel, source = wheel_of(root, version), source_of(root, version)
    for old in (wheel, source):
        old.unlink(missing_ok=True)
    run(sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", source.parent, cwd=root)
    with tempfile.TemporaryDirectory() as folder:
        how = ("--no-deps", "--no-index", "--no-build-isolation", "--no-cache-dir", "-q")
        run(sys.executable, "-m", "pip", "wheel", *how, "-w", wheel.parent, source, cwd=Path(folder))
    if not (wheel.is_file() and source.is_file()):
        raise Failed(f"expected {wheel.name} and {source.name} in dist/")
    target = tomllib.loads(read(root / "pyproject.toml"))["tool"]["hatch"]["build"]["targets"]["wheel"]
    with zipfile.ZipFile(wheel) as archive:
        there = set(archive.namelist())
    for package in target["packages"]:
        above = Path(package).parent
        for file in git(root, "ls-files", "--", package).splitlines():
            if Path(file).relative_to(above).as_posix() not in there:
                raise Failed(f"{file} is not in the wheel")
    return f"{wheel.name} ({wheel.stat().st_size // 1024} KiB, {len(there)} files) and {source.name}"


def metadata(root: Path, version: str) -> str:
    """What an index refuses or shows wrongly."""
    wheel, source = _built(wheel_of(root, version)), _built(source_of(root, version))
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        about = next(name for name in names if name.endswith(".dist-info/METADATA"))
        text = archive.read(about).decode()
    with tarfile.open(source) as packed:
        member = packed.extractfile(f"ganforge-{version}/PKG-INFO")
        other = member.read().decode() if member else ""
    if text != other:
        raise Failed("wheel and source distribution say different things of themselves")
    found = Parser().parsestr(text)
    expected = {"Name": "ganforge", "Version": version, "Description-Content-Type": "text/markdown"}
    for key, value in expected.items():
        if found[key] != value:
            raise Failed(f"{key} is {found[key]}: expected {value}")
    for key in ("Summary", "Requires-Python", "License-Expression", "License-File", "Classifier"):
        if not found[key]:
            raise Failed(f"{key} is missing")
    if not str(found.get_payload()).strip():
        raise Failed("the description is empty: expected README.md")
    if link := re.search(r"\]\((?![a-z]+:|#)[^)]+\)", str(found.get_payload())):
        raise Failed(f"the description has the relative link {link[0][1:]}: an index does not know where it leads")
    for file in found.get_all("License-File", []):
        if not any(name.endswith(f".dist-info/licenses/{file}") for name in names):
            raise Failed(f"{file} is not in the wheel")
    addresses = len(found.get_all("Project-URL", []))
    return f"complete; {len(found.get_all('Provides-Extra', []))} extras, {addresses} project addresses"


def _built(file: Path) -> Path:
    if not file.is_file():
        raise Failed(f"dist/{file.name} is not there: run --only build first")
    return file


def install(root: Path, version: str, extras: Sequence[str] = ()) -> str:
    """Install the wheel in a fresh environment outside the checkout; pip finds no conflict, the command answers."""
    wheel = _built(wheel_of(root, version))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        run(sys.executable, "-m", "venv", folder / "venv", cwd=folder)
        scripts = folder / "venv" / ("Scripts" if os.name == "nt" else "bin")
        pip = (scripts / "python", "-m", "pip", "--disable-pip-version-check", "-q")
        wanted = f"{wheel}[{','.join(extras)}]" if extras else wheel
        run(*pip, "install", "-c", root / "constraints.txt", wanted, cwd=folder)
        run(*pip, "check", cwd=folder)
        said = run(scripts / "ganforge", "--version", cwd=folder).strip()
        if said != f"ganforge {version}":
            raise Failed(f"ganforge --version says '{said}': expected 'ganforge {version}'")
        if "Usage:" not in run(scripts / "ganforge", "--help", cwd=folder):
            raise Failed("ganforge --help shows no usage")
    return (
        "installs with " + (", ".join(extras) if extras else "no extra") + "; no conflicts, ganforge --help answers"
    )
