"""The kinds of home, one module for each: what there is at a URL, and how a job table and a store are made of it.

`kind` is what they have in common.  Which kind a URL means is decided in `orchestrator.home`.
"""
