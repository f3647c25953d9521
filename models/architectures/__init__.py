"""The networks by name, each written once against a `keras` namespace that is handed in."""
