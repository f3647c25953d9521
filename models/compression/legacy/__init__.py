"""What tensorflow-model-optimization does: pruning, clustering, and training that knows of int8.

It works with legacy Keras (`tf_keras`) alone: the modules here that compute need a process that was started with
`TF_USE_LEGACY_KERAS=1`.  `limits` needs neither and says, for a plan, what cannot be done.
"""
