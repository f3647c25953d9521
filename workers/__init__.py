"""Workers: a supervisor that claims jobs and sees them through, and a runner that computes them.

`supervisor` is the loop, `session` one lease and its chain, with a table of the threads; `runner` is the child process,
`machine` what the worker runs on, `store` its traffic with the store.
"""
