"""An object store for tests: what Orch needs of S3 and of Cloud Storage's XML API, over loopback HTTP, for obstore.

`state` has the rules, `server` the HTTP of both dialects, `faults` what befalls requests, `signed_in` the environment
of whoever works on it.  The facts that it imitates, and where they stand:

- `If-Match` and `If-None-Match` of a put, 412, and 409 where two come together, 404 where there is nothing to match:
  https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
- `x-goog-if-generation-match`, 0 for what is not there yet: https://cloud.google.com/storage/docs/request-preconditions
- ETags are the MD5 of what is put in one piece, the MD5 of MD5s and a number of what is put in parts, and something
  else of what is encrypted with a customer's key: https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html
- uploads in parts, which other than the last have at least 5 MiB, and which nobody sees before they are completed:
  https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html
  https://cloud.google.com/storage/docs/multipart-uploads
- reads and lists are of now: https://docs.aws.amazon.com/AmazonS3/latest/userguide/Welcome.html#ConsistencyModel; other
  services' lists may be late, for which there is `lag_seconds`
- pages of lists and their tokens: https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
- codes of errors: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html; 403 for what is missing to whom
  may not list: https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html
- the hash of the body is signed, and checked: https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html
- one write a second to a key, more gets 429: https://cloud.google.com/storage/quotas#objects and
  https://developers.cloudflare.com/r2/platform/limits/
- a gateway that redirects a GET to a CDN, unless the client is one of Amazon's: https://huggingface.co/docs/hub/storage-buckets-s3
  and seen on the service; the CDN's ETag and its age are its own
"""

from tests.support.object_store.faults import Fault
from tests.support.object_store.server import ObjectServer
from tests.support.object_store.state import Dialect

__all__ = ["Dialect", "Fault", "ObjectServer"]
