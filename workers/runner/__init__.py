"""The runner: the child process that has TensorFlow or JAX loaded and is kept warm, and both ends of the line to it.

`main` is the child and `stages` what it computes; `connection` is its end of the line, `process` the supervisor's end,
and `messages` what they say to each other.
"""
