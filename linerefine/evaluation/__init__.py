"""A simulator drives a session, and what its work was worth is counted."""
