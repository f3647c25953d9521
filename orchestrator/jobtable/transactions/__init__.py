"""What is done to jobs: each module has functions of a connection, which run inside one transaction of a backend.

A function here neither begins nor commits, knows no backend, and does nothing besides: a backend may run it again.
"""
