"""What `scripts/bench` measures, a module per subject; each gives rows of a table."""
