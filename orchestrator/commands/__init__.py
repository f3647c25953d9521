"""What the commands do, one module each, where that is more than a line; `orchestrator.cli` declares them.

What workers do, too (planning, the sweep of garbage), stands in a room of its own.
"""
