"""Opening a page in a real browser without a screen; tests that need one skip where there is none."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")


def browser() -> str:
    """Return the browser, or skip the test."""
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip("no Chromium")
    return found


def _run(url: str, folder: Path, *options: str) -> str:
    # As root, as in a container, its own sandbox cannot start.
    options += ("--no-sandbox",) if hasattr(os, "geteuid") and os.geteuid() == 0 else ()
    command = [browser(), "--headless", "--disable-gpu", "--hide-scrollbars", f"--user-data-dir={folder / 'profile'}"]
    done = subprocess.run([*command, *options, url], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-500:]
    return done.stdout


def inside(page: Path, script: str, *options: str) -> Any:
    """Return the JSON-able value that ``script`` returns in the opened page; an error in the page fails the test."""
    probe = (
        "<script>window.onerror = (m) => { document.documentElement.dataset.error = m; };</script>",
        "<script>document.documentElement.dataset.result = JSON.stringify((() => {" + script + "})());</script>",
    )
    copy = page.with_name("probe-" + page.name)
    # A page's policy forbids scripts that are not its own: this copy has none.
    text = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page.read_text("utf-8"))
    copy.write_text(text.replace("<head>", "<head>" + probe[0]).replace("</body>", probe[1] + "</body>"), "utf-8")
    dom = _run(copy.as_uri(), page.parent, "--virtual-time-budget=3000", "--dump-dom", *options)
    error = re.search(r'<html[^>]* data-error="([^"]*)"', dom)
    assert not error, html.unescape(error[1])
    result = re.search(r'<html[^>]* data-result="([^"]*)"', dom)
    assert result, dom[:500]
    return json.loads(html.unescape(result[1]))


def opened(url: str, folder: Path) -> str:
    """Return the document of an address once its scripts have run for some seconds."""
    return _run(url, folder, "--virtual-time-budget=6000", "--dump-dom")
