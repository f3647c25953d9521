"""What a study found, for people and for programs: tables, figures and one page that stands alone.

Works from plain jobs and attempts; reads no database and starts nothing.  `results.collect` is the way
in, `files.write_report` and `tables.terminal` the ways out.  Importing this package or `results` loads
neither matplotlib nor Jinja2.
"""

import os

# A notebook sets this for pictures of its own; matplotlib cannot be imported where it names what is not installed.
os.environ["MPLBACKEND"] = "svg"
