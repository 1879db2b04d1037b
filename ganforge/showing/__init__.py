"""What Python's users look at: a run while it is trained, in a terminal or a notebook; pictures, tables and words."""
