"""The machine that a worker runs on: what it is, where files may lie there, and when it is taken away."""
