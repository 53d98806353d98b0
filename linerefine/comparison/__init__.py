"""Finished runs side by side: which, by what numbers, and what keeps them from being compared."""
