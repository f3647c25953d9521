"""What every command shares as a process: how it ends, its standard streams, its JSON.  No command lives here."""
