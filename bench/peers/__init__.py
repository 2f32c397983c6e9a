"""Other libraries for the same work, each in an environment of its own; README.md says how each is set, and why."""
