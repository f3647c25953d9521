"""The job table: the one database where workers and coordinator meet.

`table` is the contract and what it promises; `transactions` are the functions of a connection that it runs, `schema`
the tables and how those of an older Orch become these, `backends` what runs a transaction: an SQLite file, a snapshot
that is swapped, PostgreSQL.
"""

from orchestrator.jobtable.table import ChainBroken, JobTable, LeaseLost, PlanChange, PlannedStudy, WorkAtStake

__all__ = ["ChainBroken", "JobTable", "LeaseLost", "PlanChange", "PlannedStudy", "WorkAtStake"]
