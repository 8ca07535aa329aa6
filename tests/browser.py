"""Opening a page in a headless Chromium, if this machine has one: what it looks like, logs and asks for."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"))), None)
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")

FLAGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--enable-logging=stderr", "--no-first-run"),
    *("--disable-quic", "--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
NO_NETWORK = "--host-resolver-rules=MAP * ~NOTFOUND"
CONSOLE = re.compile(r":CONSOLE[:(]\d+\)?\] (.*)")
OWN = "not an origin"
"""The initiator of what the browser asks for by itself, not for the page."""


@dataclass(frozen=True)
class Visit:
    dom: str  # after scripts ran
    console: list[str]  # what was logged, errors included
    requests: list[str]  # addresses the page asked for


def visit(page: Path) -> Visit:
    """Open the file; nothing it asks for is answered."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "net.json"
        done = _chromium(page, "--dump-dom", f"--log-net-log={log}")
        events = [event.get("params", {}) for event in json.loads(log.read_text())["events"]]
    asked = [event["url"] for event in events if "url" in event and event.get("initiator", OWN) != OWN]
    return Visit(done.stdout, CONSOLE.findall(done.stderr), [url for url in asked if not url.startswith("data:")])


def screenshot(page: Path, path: Path, width: int, height: int, *flags: str) -> None:
    """Save what a window of that size shows of the file; Chromium has no window narrower than 500 pixels, see `framed`."""
    _chromium(page, f"--screenshot={path}", f"--window-size={width},{height}", *flags)


def framed(page: Path, path: Path, width: int, height: int = 800) -> Path:
    """Write a page that shows `page` at that width, as a phone would; its title becomes the width that the content takes."""
    content = html.escape(page.read_text(encoding="utf-8"), quote=True)
    script = "document.title = document.querySelector('iframe').contentDocument.documentElement.scrollWidth"
    frame = f'<iframe style="border:0;width:{width}px;height:{height}px" onload="{script}" srcdoc="{content}"></iframe>'
    path.write_text(f'<!doctype html><meta charset="utf-8"><body style="margin:0">{frame}', encoding="utf-8")
    return path


def content_width(page: Path, folder: Path, width: int) -> int:
    """Pixels the content of the page takes in a window of that width: more than the window if the page scrolls sideways."""
    seen = visit(framed(page, folder / "framed.html", width))
    return int(re.search(r"<title>(\d+)</title>", seen.dom).group(1))


def _chromium(page: Path, *flags: str) -> subprocess.CompletedProcess:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:  # it may still be writing there
        command = [CHROMIUM, *FLAGS, NO_NETWORK, f"--user-data-dir={profile}", *flags, page.absolute().as_uri()]
        return subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=120, check=True)
