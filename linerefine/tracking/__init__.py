"""Observers that watch a run: the terminal, the table of rounds, MLflow; and the pictures."""
