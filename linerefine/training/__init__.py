"""Training: patches in, weights out; one loop for both networks."""
