"""The web page: files that were built from `ui/`, read once at the start and served from memory.

Only files that were there at the start exist, so no path leads anywhere else.
"""

from __future__ import annotations

import gzip
import hashlib
import mimetypes
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from starlette.responses import Response

from sillok.http.guard import CONTENT_SECURITY_POLICY
from sillok.server.call import Call

FOLDER = Path(__file__).parent / "static"
INDEX = "index.html"
WORTH_GZIP_BYTES = 1024
TEXT_TYPES = ("application/javascript", "application/json", "image/svg+xml")
HASHED_FOLDER = "assets/"  # the build puts a hash of the content into these names

_MISSING = b"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Sillok</title></head>
<body><h1>Sillok is running</h1>
<p>This build has no web page: <code>ui/</code> was not built into it. <code>make setup</code> builds it.</p>
<p>The HTTP APIs are all there: <a href="/ready">/ready</a>, <a href="/metrics">/metrics</a>,
<a href="/loki/api/v1/labels">/loki/api/v1/labels</a>.</p></body></html>
"""


@dataclass(frozen=True, slots=True)
class _File:
    content: bytes
    zipped: bytes | None
    headers: Mapping[str, str]


class Page:
    """Answers with the page's files; any address that a page of ours may have gives the page itself."""

    def __init__(self, folder: Path = FOLDER) -> None:
        found = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
        self._files: Mapping[str, _File] = {name: _file(name, path.read_bytes()) for name, path in found.items()}
        self._index = self._files.get(INDEX) or _file(INDEX, _MISSING)

    def has(self, path: str) -> bool:
        return path.removeprefix("/") in self._files

    async def file(self, call: Call) -> Response:
        """The file of this name."""
        return _answer(call, self._files[call.request.url.path.removeprefix("/")])

    async def index(self, call: Call) -> Response:
        """The page."""
        return _answer(call, self._index)


def _answer(call: Call, file: _File) -> Response:
    headers = dict(file.headers)
    if call.request.headers.get("if-none-match") == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    if file.zipped is not None and "gzip" in call.request.headers.get("accept-encoding", ""):
        return Response(file.zipped, headers={**headers, "Content-Encoding": "gzip"})
    return Response(file.content, headers=headers)


def _file(name: str, content: bytes) -> _File:
    guessed, _ = mimetypes.guess_type(name)
    media_type = guessed or "application/octet-stream"
    is_text = media_type.startswith("text/") or media_type in TEXT_TYPES
    is_hashed = name.startswith(HASHED_FOLDER)
    headers = {
        "Content-Type": f"{media_type}; charset=utf-8" if is_text else media_type,
        "ETag": f'W/"{hashlib.sha256(content).hexdigest()[:32]}"',
        "Cache-Control": "public, max-age=31536000, immutable" if is_hashed else "no-cache",
        "Vary": "Accept-Encoding",
    }
    if media_type == "text/html":
        headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
    worth_zipping = is_text and len(content) >= WORTH_GZIP_BYTES
    return _File(content, gzip.compress(content, mtime=0) if worth_zipping else None, headers)
