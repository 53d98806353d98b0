"""Loaders of the core: images, masks and splits in plain folders."""
