"""Retinal vessels for linerefine: the smallest complete plugin."""
