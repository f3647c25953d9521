"""How far a study is: what `orch status` shows, and how it looks."""
