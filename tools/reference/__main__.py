"""Write the pages."""

from __future__ import annotations

from ganforge.backend import choose_backend
from tools.reference import ROOT, pages

choose_backend()
for file, text in pages().items():
    file.parent.mkdir(exist_ok=True)
    file.write_text(text, "utf-8")
    print(file.relative_to(ROOT))
