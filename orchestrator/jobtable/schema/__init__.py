"""The tables of the job table: their definition, what their rows are in Python, and how older tables become these."""
