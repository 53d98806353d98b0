"""User simulators: code in the annotator's place."""
