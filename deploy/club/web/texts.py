"""Which texts the site has, and which of them a language lacks.

`python -m deploy.club.web.texts [LANGUAGE]` prints what is missing, ready for the catalogues in
`text/`: one file for each part of the site, each text in one of them.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

from babel.messages.catalog import Catalog
from babel.messages.extract import extract
from babel.messages.pofile import read_po, write_po

from deploy.club.web.locales import TEXT

ROOT = Path(__file__).parent.parent
KEYWORDS: dict[str, tuple[int, ...] | None] = {
    "_": None,
    "N_": None,
    "gettext": None,
    "ngettext": (1, 2),
}
TEMPLATE_OPTIONS = {"newstyle_gettext": "true", "trimmed": "true", "silent": "false"}

MsgId = str | tuple[str, ...]


class Found(NamedTuple):
    """A text, and where it is."""

    id: MsgId
    path: str
    line: int


def texts() -> Iterator[Found]:
    """All texts of the sources and the templates."""
    for path in sorted(ROOT.rglob("*.py")):
        yield from _of(path, "python")
    for path in sorted((ROOT / "templates").rglob("*.html")):
        yield from _of(path, "jinja2.ext:babel_extract")


def catalogue(language: str) -> dict[MsgId, MsgId]:
    """Every translation into `language`, without those that are marked as doubtful."""
    known: dict[MsgId, MsgId] = {}
    for path in sorted(TEXT.glob(f"*.{language}.po")):
        with path.open("rb") as file:
            for message in read_po(file, locale=language, abort_invalid=True):
                if message.id and not message.fuzzy and message.string:
                    known[_plain(message.id)] = _plain(message.string)
    return known


def missing(language: str) -> list[Found]:
    """Texts that `language` lacks, each once."""
    known = catalogue(language)
    lacking: dict[MsgId, Found] = {}
    for found in texts():
        said = known.get(found.id, "")
        if not said or (isinstance(said, tuple) and not all(said)):
            lacking.setdefault(found.id, found)
    return list(lacking.values())


def _of(path: Path, method: str) -> Iterator[Found]:
    options = TEMPLATE_OPTIONS if method != "python" else {}
    with path.open("rb") as file:
        for line, id, _, _ in extract(method, file, KEYWORDS, options=options):
            yield Found(_plain(id), path.relative_to(ROOT).as_posix(), line)


def _plain(id: str | list[str] | tuple[str, ...]) -> MsgId:
    return id if isinstance(id, str) else tuple(id)


def main() -> None:
    """Print what is missing as a catalogue."""
    language = sys.argv[1] if len(sys.argv) > 1 else "de"
    lacking = Catalog(locale=language)
    for found in missing(language):
        lacking.add(found.id, locations=[(found.path, found.line)])
    written = BytesIO()
    write_po(written, lacking, omit_header=True)
    print(written.getvalue().decode())


if __name__ == "__main__":
    main()
