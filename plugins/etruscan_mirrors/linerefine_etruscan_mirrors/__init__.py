"""Etruscan mirrors for linerefine: the paper's scans, strokes, networks and score sheet."""
