"""A worker's traffic with the store: inputs, outputs, what is kept of them here, and what hinders them."""
