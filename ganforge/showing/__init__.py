"""What is displayed in a terminal or a notebook: a run during training, pictures, tables and words."""
