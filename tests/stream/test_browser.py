"""The demonstration page in a real browser, with a camera that Chromium makes up, and with a file instead."""

from __future__ import annotations

import json
import shutil
import subprocess
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest

from tests.resilience.installation import free_port
from tests.stream.house import eventually
from tests.stream.scripts import browser_video

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.stream.house import House

HOW = "Chromium is not installed: apt-get install chromium chromium-driver"
pytestmark = pytest.mark.skipif(
    not (shutil.which("chromium") and shutil.which("chromedriver")), reason=HOW
)
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # W3C WebDriver, section 12
OPTIONS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
)


class Browser:
    """A browser that is driven by WebDriver."""

    def __init__(self, port: int) -> None:
        self.address = f"http://127.0.0.1:{port}"
        capabilities = {"alwaysMatch": {"goog:chromeOptions": {"args": OPTIONS}}}
        self.session = ""
        found = self.call("POST", "/session", {"capabilities": capabilities})
        self.session = f"/session/{found['sessionId']}"

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Give a command and return its value."""
        data = None if method != "POST" else json.dumps(body or {}).encode()
        request = urllib.request.Request(
            self.address + self.session + path,
            data,
            {"Content-Type": "application/json"},
            method=method,
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)["value"]

    def run(self, script: str, *arguments: Any) -> Any:
        """Run a script in the page and return its value."""
        return self.call("POST", "/execute/sync", {"script": script, "args": arguments})

    def find(self, selector: str) -> str:
        """Return the path of an element."""
        found = self.call("POST", "/element", {"using": "css selector", "value": selector})
        return f"/element/{found[ELEMENT]}"

    def type(self, selector: str, text: str) -> None:
        """Type into an element."""
        self.call("POST", f"{self.find(selector)}/value", {"text": text})

    def click(self, selector: str) -> None:
        """Click an element."""
        self.call("POST", f"{self.find(selector)}/click")

    def text(self, selector: str) -> str:
        """Return what an element says."""
        return str(self.run("return document.querySelector(arguments[0]).textContent", selector))


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    port = free_port()
    with (tmp_path / "driver.log").open("w") as log:
        driver = subprocess.Popen(["chromedriver", f"--port={port}"], stdout=log, stderr=log)
    try:
        assert eventually(lambda: _is_ready(port))
        browser = Browser(port)
        try:
            yield browser
        finally:
            browser.call("DELETE", "")
    finally:
        driver.terminate()
        driver.wait(20)


def _is_ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/status", timeout=5) as answer:
            return bool(json.load(answer)["value"]["ready"])
    except OSError:
        return False


def begin(browser: Browser, house: House, session_id: str) -> None:
    """Fill the form in and start."""
    browser.type("#key", house.key)
    browser.type("#session", session_id)
    browser.click("#start")


def test_the_camera_is_streamed_and_findings_are_shown(browser: Browser, house: House) -> None:
    browser.call("POST", "/url", {"url": f"{house.url}/demo/stream"})
    begin(browser, house, "camera")
    assert eventually(lambda: "since" in browser.text("#engagement")), browser.text("main")
    assert eventually(lambda: "clarity" in browser.text("#quality"), 30), browser.text("main")
    browser.click("#stop")
    assert eventually(lambda: "client_shutdown" in browser.text("#status")), browser.text("main")
    assert "ih" not in browser.text("#history")
    (recording,) = house.get("/v1/stream/sessions/camera")["recordings"]
    assert recording["seconds"] > 9


def test_a_file_takes_the_place_of_the_camera(
    browser: Browser, house: House, tmp_path: Path
) -> None:
    (tmp_path / "video.webm").write_bytes(browser_video())
    browser.call("POST", "/url", {"url": f"{house.url}/demo/stream"})
    browser.type("#file", str(tmp_path / "video.webm"))
    begin(browser, house, "file")
    assert eventually(lambda: "client_shutdown" in browser.text("#status")), browser.text("main")
    assert "ih" not in browser.text("#history")
    (recording,) = house.get("/v1/stream/sessions/file")["recordings"]
    assert recording["seconds"] == pytest.approx(7.0, abs=1.5)
    assert recording["engagement_state"]


def test_a_wrong_key_is_told_and_the_form_stays(browser: Browser, house: House) -> None:
    browser.call("POST", "/url", {"url": f"{house.url}/demo/stream"})
    browser.type("#key", "wrong")
    browser.click("#start")
    assert eventually(lambda: "check the key" in browser.text("#status"))
    assert browser.run("return document.querySelector('#start').disabled") is False
