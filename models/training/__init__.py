"""Training that can stop anywhere: the loop, what a step computes, the backends that compile it, its states."""
