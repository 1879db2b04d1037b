"""One HTML page that draws new pictures in a browser: the generator, onnxruntime-web and all else are inside it."""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
import re
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ganforge import __version__
from ganforge.errors import GANForgeError, on_one_line
from ganforge.export.about import About, write
from ganforge.export.run_onnx import onnx_of
from ganforge.export.web import Web, find_web
from ganforge.report.render import embedded

if TYPE_CHECKING:
    from ganforge import Run

MARK = re.compile(r"\{\{(?:title|data)\}\}|/\*\{\{(?:style|script)\}\}\*/")
PICTURES = 24  # on a sheet of a page


def write_page(run: Run, path: Path, onnxruntime_web: str | Path | None) -> list[str]:
    """Write a page that draws with a run's generator; return what to know of it.

    Raises:
        UsageError: ``onnxruntime_web`` is not that package.
        GANForgeError: the run makes no pictures, or something is missing.
    """
    about = About.of(run)
    if len(about.image_shape) != 3 or about.image_shape[-1] not in (1, 3, 4):
        raise GANForgeError(f"a page is for pictures; {run.id} makes {about.image_shape}")
    web = find_web(onnxruntime_web)
    content, difference = onnx_of(run)
    write(path, page_of(content, about, said_of(run), web).encode())
    return [
        f"self-contained, works offline; it includes ONNX Runtime Web {web.version} (licence: {web.licence})",
        f"its outputs differ from the original by at most {difference:.1e}",
    ]


def said_of(run: Run) -> str:
    """Return a run in one sentence."""
    manifest = run.manifest
    steps, data = manifest["progress"]["step"], manifest["data"]["description"]
    return on_one_line(f"{manifest['config']['arch']}, trained for {steps:,} step{'s' * (steps != 1)} on {data}")[
        :400
    ]


def page_of(content: bytes, about: About, said: str, web: Web) -> str:
    """Return the page: a generator as ONNX, what is said of it, and what computes it.

    A policy lets the page run its own script and onnxruntime-web, and ask nobody for anything.
    """
    data: dict[str, Any] = {
        "about": said,
        "made": f"Made by GANForge {__version__}. It uses ONNX Runtime Web {web.version}, "
        f"© Microsoft Corporation, licence {web.licence}.",
        "latents": about.latent_dim,
        "shape": list(about.image_shape),
        "classes": list(about.classes),
        "count": PICTURES,
        "model": _packed(content),
        "binary": _packed(web.binary),
        "script": _packed(web.script),
    }
    folder = resources.files("ganforge.export") / "template"
    page, style, script = ((folder / name).read_text("utf-8") for name in ("page.html", "style.css", "page.js"))
    safe = {
        "{{title}}": html.escape(on_one_line(about.run)),
        "{{data}}": embedded(data),
        "/*{{style}}*/": style,
        "/*{{script}}*/": script,
    }
    own = f"\n{script}\n"  # as it stands between its tags
    digest = base64.b64encode(hashlib.sha256(own.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; script-src 'sha256-{digest}' blob: 'wasm-unsafe-eval'; style-src 'unsafe-inline'; "
        "base-uri 'none'; form-action 'none'"
    )
    tag = f'<meta charset="utf-8">\n<meta http-equiv="Content-Security-Policy" content="{policy}">'
    return MARK.sub(lambda mark: safe[mark[0]], page.replace('<meta charset="utf-8">', tag, 1))


def _packed(content: bytes) -> str:
    return base64.b64encode(gzip.compress(content, 9, mtime=0)).decode()
