"""The site's own files, in memory, under an address that changes with them.

`/static/HASH/name`: one hash over all files, so that a page and the modules it imports are of one
version, and browsers may keep them for ever. A page that was loaded before an upgrade asks with
the old hash; it gets the new file, and is not told to keep it.
"""

from __future__ import annotations

import gzip
import hashlib
import mimetypes
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

FOLDER = Path(__file__).parent.parent / "static"
SUFFIXES = frozenset({".css", ".js", ".svg", ".png", ".ico", ".woff2", ".webmanifest"})
COMPRESSED = frozenset({".css", ".js", ".svg", ".webmanifest"})
FOR_EVER = "public, max-age=31536000, immutable"
HASH_CHARS = 12


@dataclass(frozen=True, slots=True)
class File:
    """One file as it is sent."""

    content: bytes
    compressed: bytes | None
    kind: str


class StaticFiles:
    """All files of `folder`, read once."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self._files: dict[str, File] = {}
        digest = hashlib.sha256()
        for path in sorted(folder.rglob("*")):
            if path.suffix not in SUFFIXES:
                continue
            name = path.relative_to(folder).as_posix()
            content = path.read_bytes()
            digest.update(name.encode() + b"\0" + content + b"\0")
            self._files[name] = File(
                content,
                gzip.compress(content, mtime=0) if path.suffix in COMPRESSED else None,
                "text/javascript"
                if path.suffix == ".js"
                else mimetypes.guess_type(name)[0] or "application/octet-stream",
            )
        self.hash = digest.hexdigest()[:HASH_CHARS]

    def url(self, name: str) -> str:
        """The address of a file."""
        return f"/static/{self.hash}/{name}"

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """GET /static/{hash}/{name}"""
        file = self._files.get(request.match_info["name"])
        if file is None:
            raise web.HTTPNotFound
        is_current = request.match_info["hash"] == self.hash
        headers = {
            "Cache-Control": FOR_EVER if is_current else "no-cache",
            "Vary": "Accept-Encoding",
        }
        body = file.content
        if file.compressed is not None and "gzip" in request.headers.get("Accept-Encoding", ""):
            body = file.compressed
            headers["Content-Encoding"] = "gzip"
        charset = "utf-8" if file.kind.startswith("text/") else None
        return web.Response(body=body, headers=headers, content_type=file.kind, charset=charset)


STATIC: web.AppKey[StaticFiles] = web.AppKey("static", StaticFiles)
