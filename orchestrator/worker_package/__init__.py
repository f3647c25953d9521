"""The worker package: the wheel that a study carries with it, and the cell that starts a worker from it."""
