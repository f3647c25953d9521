"""Object stores: Amazon S3 and what speaks its protocol, Google Cloud Storage, Hugging Face's buckets.

`places` understands their URLs, `credentials` finds the keys, `client` makes the requests and `refusals` words what is
refused; these know no jobs, artifacts or homes.  `table_file` and `artifact_store` are what a home is made of,
`wheels` is the Orch that travels with a study, and `live_checks` asks the real service.
"""
