"""The live page of `orch ui`: one reading of the home for all who look, a report that follows it, and the server."""
