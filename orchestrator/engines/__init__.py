"""Engines that start workers and put others in the place of those that end: one module for each, and their contract.

What a worker does stands in `workers`; here it is a command line.
"""
