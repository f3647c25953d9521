"""Where the job table's database lives: each backend keeps the contract in `backend`, and knows nothing of jobs.

`sqlite` is a file on a local disk, `snapshot` a database in memory that is swapped behind a `conditional_file`,
`postgresql` a server.  How a statement of the hot path is given to their drivers stands in `statement`.
"""
