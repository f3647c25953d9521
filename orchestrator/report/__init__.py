"""What a study found, for people and for programs: tables, charts and one page that stands alone.

Works from plain jobs and attempts; reads no database and starts nothing.  `results.collect` is the way
in, `files.write_report` and `tables.terminal` the ways out.  Importing this package or `results` loads
neither vl-convert nor Jinja2.
"""
