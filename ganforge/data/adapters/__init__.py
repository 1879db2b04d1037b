"""Pictures and vectors that are not in folders: arrays, files of arrays and tables, and Python objects.

There is a module for each kind. Rows of one shape become a ``Table``; encoded pictures become a list of files, which
``load_folder`` reads like those of a folder.
"""

from __future__ import annotations

from ganforge.data.adapters.kept import kept
from ganforge.data.adapters.objects import source_of
from ganforge.data.adapters.opening import file_source, is_there, place_of

__all__ = ["file_source", "is_there", "kept", "place_of", "source_of"]
