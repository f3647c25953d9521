"""The notebook from which a study is planned, watched and reported: its file, its form, and what its cells do.

How a wheel is packed and a worker's cell is made stands in `orchestrator.worker_package`.
"""
