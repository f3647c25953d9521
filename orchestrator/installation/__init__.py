"""Orch as it is installed: the distribution, and how its packages are found whatever else is called like them."""
