"""Pictures and vectors that lie in no folder: arrays, files of arrays and tables, and what Python programs hold.

A file for each kind. Of rows of one shape each makes a ``Table``; of encoded pictures, a list of files that
``load_folder`` reads as it reads a folder's.
"""

from __future__ import annotations

from ganforge.data.adapters.kept import kept
from ganforge.data.adapters.objects import source_of
from ganforge.data.adapters.opening import file_source, is_there, place_of

__all__ = ["file_source", "is_there", "kept", "place_of", "source_of"]
