"""Google Drive for tests: what Orch needs of it, over loopback HTTP, for the real client libraries.

`state` has the rules, `resources` the shapes, `faults` what befalls requests, `server` the HTTP.  The facts that it
imitates, and where they stand:

- two versions of the API on one store: https://developers.google.com/workspace/drive/api/guides/v2-to-v3-reference
- `If-Match` of version 2: seen on the service, and in the etags of version 2's file resource, which version 3 has not
- ids made beforehand, and 409: https://developers.google.com/workspace/drive/api/guides/create-file#pregenerate
- resumable uploads, 308 and 404: https://developers.google.com/workspace/drive/api/guides/manage-uploads#resumable
- reasons of errors: https://developers.google.com/workspace/drive/api/guides/handle-errors
- what a request costs: https://developers.google.com/workspace/drive/api/guides/limits
- who owns, pays for, and may delete a file: https://developers.google.com/workspace/drive/api/guides/about-files
- who sees what is in a bin: https://developers.google.com/workspace/drive/api/guides/delete#trash
- who has a folder's address reads what is in it, and what an organisation forbids:
  https://developers.google.com/workspace/drive/api/guides/manage-sharing
- that this is the permission `anyoneWithLink`, and 404 where there is none: seen in https://github.com/CSSS/csss-site/issues/644
- that service accounts own no storage: https://developers.google.com/workspace/drive/api/guides/about-shareddrives
"""

from tests.support.drive.faults import Fault
from tests.support.drive.server import DriveServer
from tests.support.drive.state import Account

__all__ = ["Account", "DriveServer", "Fault"]
