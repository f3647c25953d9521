"""From a study to jobs and data in a home: the graph, what is feasible, the shards, and how all is published."""
