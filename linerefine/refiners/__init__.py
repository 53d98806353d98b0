"""Refiners: image, first prediction and strokes in, better logits out."""
