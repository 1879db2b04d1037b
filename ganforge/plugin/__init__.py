"""The contract with plugins: hooks, what may be registered, finding and checking it."""
