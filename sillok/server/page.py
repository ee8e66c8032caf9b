"""The web page: files that were built from `ui/`, read once at the start and served from memory.

Only files that were there at the start exist, so no path leads anywhere else.
"""

from __future__ import annotations

import gzip
import hashlib
import mimetypes
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from starlette.responses import Response

from sillok.http.guard import content_security_policy
from sillok.server.call import Call

FOLDER = Path(__file__).parent / "static"
INDEX = "index.html"
NONCE_PLACE = b"__CSP_NONCE__"  # stands in index.html where the page looks for its nonce
WORTH_GZIP_BYTES = 1024
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
    media_type: str
    etag: str


class Page:
    """Answers with the page's files; any address that a page of ours may have gives the page itself."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self._files: Mapping[str, _File] = {
            path.relative_to(folder).as_posix(): _read(path) for path in sorted(folder.rglob("*")) if path.is_file()
        }

    def has(self, path: str) -> bool:
        return path.removeprefix("/") in self._files

    async def file(self, call: Call) -> Response:
        """A file by its name; `index.html` gets a new nonce each time."""
        name = call.request.url.path.removeprefix("/")
        if name == INDEX or name not in self._files:
            return self._index()
        file = self._files[name]
        headers = {"Content-Type": file.media_type, "ETag": file.etag, "Vary": "Accept-Encoding"}
        is_hashed = name.startswith(HASHED_FOLDER)
        headers["Cache-Control"] = "public, max-age=31536000, immutable" if is_hashed else "no-cache"
        if call.request.headers.get("if-none-match") == file.etag:
            return Response(status_code=304, headers=headers)
        if file.zipped is not None and "gzip" in call.request.headers.get("accept-encoding", ""):
            return Response(file.zipped, headers={**headers, "Content-Encoding": "gzip"})
        return Response(file.content, headers=headers)

    async def index(self, _call: Call) -> Response:
        return self._index()

    def _index(self) -> Response:
        nonce = secrets.token_urlsafe(16)
        content = self._files[INDEX].content if INDEX in self._files else _MISSING
        headers = {
            "Content-Type": "text/html; charset=utf-8",
            "Content-Security-Policy": content_security_policy(nonce),
            "Cache-Control": "no-store",
        }
        return Response(content.replace(NONCE_PLACE, nonce.encode()), headers=headers)


def _read(path: Path) -> _File:
    content = path.read_bytes()
    guessed, _ = mimetypes.guess_type(path.name)
    media_type = guessed or "application/octet-stream"
    is_text = media_type.startswith("text/") or media_type in ("application/javascript", "application/json")
    zipped = gzip.compress(content, mtime=0) if len(content) >= WORTH_GZIP_BYTES and is_text else None
    etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    return _File(content, zipped, f"{media_type}; charset=utf-8" if is_text else media_type, etag)
