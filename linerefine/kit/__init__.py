"""For people who write plugins: a project to begin with, and a check of what is installed."""
