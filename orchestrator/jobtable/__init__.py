"""The job table: the one place where workers and coordinator meet.

`table.JobTable` is the contract; `schema` the tables; `publishing`, `claiming`, `settling`, `handing_in`,
`interventions`, `reading` and `overview` the transactions, each a function of a connection; `sqlite` and `postgresql`
places where the database lives.
"""

from orchestrator.jobtable.table import ChainBroken, JobTable, LeaseLost, PlanChange, WorkAtStake

__all__ = ["ChainBroken", "JobTable", "LeaseLost", "PlanChange", "WorkAtStake"]
