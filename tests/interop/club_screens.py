"""`python -m tests.interop.club_screens`: pictures of every page into deploy/club/screens.

One for a telephone and one for a desktop of each page; `--dark` and `--language` choose others.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import tempfile
from pathlib import Path
from typing import Literal

from PIL import Image

from tests.interop.chromium import launched
from tests.interop.club_sights import SIGHTS, town
from tests.interop.club_tab import Tab
from tests.interop.daemon import ROOT, running

FOLDER = ROOT / "deploy/club/screens"
SIZES = {"phone": (390, 844), "desktop": (1280, 800)}
BYTES_MAX = 120 * 1024
# Pages that scroll are shown whole up to so many screens.
SCREENS_MAX = 2
COLOURS = 128


async def take(
    folder: Path, scheme: Literal["light", "dark"], language: str, only: set[str]
) -> None:
    """All of them, or those named."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary, running() as daemon:
        async with town(Path(temporary), daemon) as made, launched() as browser:
            for device, size in SIZES.items():
                tabs: dict[str | None, Tab] = {}
                for sight in SIGHTS:
                    if only and sight.name not in only:
                        continue
                    if sight.who not in tabs:
                        tabs[sight.who] = await Tab.open(
                            browser,
                            made.base_url,
                            sight.who or "stranger",
                            language=language,
                            scheme=scheme,
                            size=size,
                            cookie=made.people[sight.who].cookie if sight.who else None,
                        )
                        await tabs[sight.who].speak(language)
                    tab = tabs[sight.who]
                    await made.show(sight, tab)
                    await tab.page.wait_for_timeout(300)
                    picture = await _picture(tab, size)
                    _store(picture, folder / f"{sight.name}-{device}.png")
                for tab in tabs.values():
                    await tab.close()


async def _picture(tab: Tab, size: tuple[int, int]) -> bytes:
    """All of a page up to SCREENS_MAX screens, on a screen of that height: what is fixed to the
    foot of the screen is at the foot of the picture.
    """
    width, height = size
    whole: int = await tab.evaluate("() => document.documentElement.scrollHeight")
    shown = min(max(whole, height), SCREENS_MAX * height)
    await tab.page.set_viewport_size({"width": width, "height": shown})
    picture = await tab.page.screenshot()
    await tab.page.set_viewport_size({"width": width, "height": height})
    return picture


def _store(picture: bytes, path: Path) -> None:
    """With a palette, and no larger than BYTES_MAX."""
    image = Image.open(io.BytesIO(picture)).convert("RGB")
    image.quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)
    if path.stat().st_size > BYTES_MAX:
        raise ValueError(f"{path} has {path.stat().st_size} bytes")


def main() -> None:
    """Command line entry."""
    parser = argparse.ArgumentParser(prog="tests.interop.club_screens", description=__doc__)
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument("--dark", action="store_true")
    parser.add_argument("--language", choices=("en", "de"), default="en")
    parser.add_argument("only", nargs="*", help="names of pages; all without")
    chosen = parser.parse_args()
    scheme: Literal["light", "dark"] = "dark" if chosen.dark else "light"
    asyncio.run(take(chosen.folder, scheme, chosen.language, set(chosen.only)))


if __name__ == "__main__":
    main()
