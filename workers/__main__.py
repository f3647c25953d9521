"""`python -m workers` is `orch-worker`."""

from workers.cli import main

main()
