"""Networks and steps as plain Keras has them, and where the engine, or a layer, differs."""
