"""The page, served as it lies in the source tree: no build step, so nothing to go stale but the browser's cache."""

from __future__ import annotations

import mimetypes
from os import PathLike, stat_result

from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

_HEADERS = {
    # Scripts, styles and connections of this origin only; the camera's picture is a blob or a MediaStream.
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' data: blob:; media-src 'self' blob: mediastream:; "
        "object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Permissions-Policy": "camera=(self), microphone=(self), display-capture=(self)",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    # Always asked again, answered by 304 from the ETag: after an upgrade no browser runs yesterday's modules.
    "Cache-Control": "no-cache",
}
# What the system's tables say differs between machines, and browsers refuse modules of any other type.
for _type, _ending in (("text/javascript", ".js"), ("text/javascript", ".mjs"), ("image/svg+xml", ".svg")):
    mimetypes.add_type(_type, _ending)


class Page(StaticFiles):
    """Static files with the page's security headers."""

    def file_response(
        self, full_path: str | PathLike[str], stat_result: stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        response = super().file_response(full_path, stat_result, scope, status_code)
        response.headers.update(_HEADERS)
        return response
