"""What is trained and measured: data sets, architectures, training, compression, measurement.

Knows no jobs, no storage and no network.  Importing this package, `models.architectures.catalog`, `models.recipes`,
`models.datasets` or `models.compression.methods` loads no TensorFlow; modules that compute do.
"""
