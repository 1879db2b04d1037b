"""What the engine computes, against values computed otherwise; see ``tests/test_numbers.py``."""
