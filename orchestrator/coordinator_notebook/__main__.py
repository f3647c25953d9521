"""What a cell of the notebook runs, in a Python of its own."""

from orchestrator.coordinator_notebook.actions import main

if __name__ == "__main__":
    main()
