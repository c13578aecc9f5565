"""Headless Chromium, driven through its debugging port by the standard library alone: a WebSocket and its messages.

    with Browser(width=390, height=844) as browser:
        browser.open("http://127.0.0.1:8470/")
        browser.evaluate("document.title")
"""

import base64
import itertools
import json
import os
import pathlib
import shutil
import socket
import struct
import subprocess
import tempfile
import time
import unittest
import urllib.request

NAMES = ["chromium", "chromium-browser", "google-chrome"]
HUNG_SECONDS = 120


def find_browser():
    """Its path; skips the test where there is none."""
    for name in NAMES:
        if shutil.which(name):
            return shutil.which(name)
    raise unittest.SkipTest("no Chromium: 'scripts/setup.sh --test' installs it")


class WebSocket:
    """Text messages of a client; enough of RFC 6455 for Chromium's debugging port."""

    def __init__(self, host, port, path):
        self.socket = socket.create_connection((host, port), timeout=HUNG_SECONDS)
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode())
        self.stream = self.socket.makefile("rb")
        status = self.stream.readline()
        if b"101" not in status:
            raise RuntimeError(f"no WebSocket: {status!r}")
        while self.stream.readline().strip():
            pass

    def send(self, text):
        data, mask = text.encode(), os.urandom(4)
        size = (struct.pack("!B", 0x80 | len(data)) if len(data) < 126 else
                struct.pack("!BH", 0xFE, len(data)) if len(data) < 1 << 16 else struct.pack("!BQ", 0xFF, len(data)))
        masked = bytes(byte ^ mask[index % 4] for index, byte in enumerate(data))
        self.socket.sendall(b"\x81" + size + mask + masked)

    def receive(self):
        message = b""
        while True:
            first, second = self.stream.read(2)
            size = second & 0x7F
            if size >= 126:
                size = struct.unpack("!H" if size == 126 else "!Q", self.stream.read(2 if size == 126 else 8))[0]
            data = self.stream.read(size)
            if first & 0x0F in (0, 1):
                message += data
                if first & 0x80:
                    return message.decode()

    def close(self):
        self.stream.close()
        self.socket.close()


class Browser:
    """One tab. What its console says and what it throws is in `problems`."""

    def __init__(self, width=1440, height=900, dark=False, density=1):
        self.program = find_browser()
        self.width, self.height, self.dark, self.density = width, height, dark, density
        self.problems = []

    def __enter__(self):
        self.profile = tempfile.TemporaryDirectory(prefix="e2e-browser-", ignore_cleanup_errors=True)
        self.process = subprocess.Popen(
            [self.program, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
             "--disable-extensions", "--disable-background-networking", "--hide-scrollbars", "--remote-debugging-port=0",
             f"--user-data-dir={self.profile.name}", "about:blank"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            port = self._port()
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list", timeout=HUNG_SECONDS) as answer:
                page = next(target for target in json.load(answer) if target["type"] == "page")
            self.socket = WebSocket("127.0.0.1", port, page["webSocketDebuggerUrl"].split(str(port), 1)[1])
            self.numbers = itertools.count(1)
            for domain in ("Page", "Runtime", "Log", "Network"):
                self.call(f"{domain}.enable")
            self.resize(self.width, self.height)
            self.call("Emulation.setEmulatedMedia", features=[
                {"name": "prefers-color-scheme", "value": "dark" if self.dark else "light"},
                {"name": "prefers-reduced-motion", "value": "reduce"}])
        except BaseException:
            self.__exit__()
            raise
        return self

    def _port(self):
        """Chromium writes the port that it chose into its profile."""
        file = pathlib.Path(self.profile.name) / "DevToolsActivePort"
        end = time.monotonic() + HUNG_SECONDS
        while time.monotonic() < end:
            if file.exists() and file.read_text().strip():
                return int(file.read_text().split()[0])
            if self.process.poll() is not None:
                raise RuntimeError(f"{self.program} ended with {self.process.returncode}")
            time.sleep(0.1)
        raise RuntimeError(f"{self.program} does not come up")

    def __exit__(self, *_):
        if hasattr(self, "socket"):
            self.socket.close()
        self.process.terminate()
        self.process.wait(timeout=HUNG_SECONDS)
        self.profile.cleanup()

    def call(self, method, **parameters):
        """Sends a command and takes events until its answer comes."""
        number = next(self.numbers)
        self.socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            message = json.loads(self.socket.receive())
            if message.get("id") == number:
                if "error" in message:
                    raise RuntimeError(f"{method}: {message['error']}")
                return message["result"]
            self._note(message.get("method"), message.get("params", {}))

    def _note(self, event, told):
        if event == "Runtime.exceptionThrown":
            details = told["exceptionDetails"]
            self.problems.append(details.get("exception", {}).get("description", details["text"]))
        elif event == "Runtime.consoleAPICalled" and told["type"] in ("error", "warning", "assert"):
            self.problems.append(str([value.get("value", value.get("description")) for value in told["args"]]))
        elif event == "Log.entryAdded" and told["entry"]["level"] in ("error", "warning"):
            self.problems.append(f"{told['entry']['text']} {told['entry'].get('url', '')}")

    def resize(self, width, height):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=self.density,
                  mobile=width < 600)

    def open(self, url):
        self.call("Page.navigate", url=url)
        self.wait("document.readyState === 'complete'")

    def evaluate(self, expression):
        """The value of a JavaScript expression; a promise is waited for."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(f"{expression}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def wait(self, expression):
        """Waits until an expression is true, or an object."""
        end = time.monotonic() + HUNG_SECONDS
        while time.monotonic() < end:
            if self.evaluate(f"Boolean({expression})"):
                return
            time.sleep(0.1)
        raise AssertionError(f"never came true in the browser: {expression}; it says {self.problems}")

    def screenshot(self, path, whole_page=False):
        picture = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole_page)
        pathlib.Path(path).write_bytes(base64.b64decode(picture["data"]))
