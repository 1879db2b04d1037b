"""Pictures of a run: grids, animations, curves and diagrams. No Keras in here."""
