"""Smaller and faster networks: which methods there are, how each is done, what the result weighs.

`methods` knows the names and loads nothing heavy; the modules that compute are loaded when a method is used.
"""
