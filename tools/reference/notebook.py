"""The example notebook as a page."""

from __future__ import annotations

import json
from pathlib import Path

NOTE = "*This page is `examples/first_look.ipynb`: open it in Jupyter, and the pictures appear below the cells.*"


def page(root: Path) -> str:
    """Return the notebook's cells as Markdown, below its first heading a note where it is."""
    cells = json.loads((root / "examples" / "first_look.ipynb").read_text("utf-8"))["cells"]
    texts = []
    for one in cells:
        source = "".join(one["source"]).strip()
        texts.append(f"```python\n{source}\n```" if one["cell_type"] == "code" else source)
    heading, _, rest = texts[0].partition("\n")
    return "\n\n".join([heading, NOTE, rest.strip(), *texts[1:]]) + "\n"
