"""What runs in the notebook: a supervisor that claims jobs, and a runner process that computes them."""
