"""`bertcram serve` over the network: routes, who may look, bad input, ports, many viewers."""

import json
import os
import pathlib
import resource
import shlex
import signal
import socket
import threading
import unittest

from dashboards import Dashboard, SimulatedRun
from support import BINARY, INPUT, RESOURCES, USAGE, E2ETestCase

TOKEN = "correct-horse-battery-staple"


class ServeTestCase(E2ETestCase):

    def setUp(self):
        super().setUp()
        self.runs = self.dir / "runs"
        self.runs.mkdir()

    def run_of(self, name="first", steps=40, **settings):
        run = SimulatedRun(self.runs, name, budget_steps=100, **settings)
        run.advance(steps, evaluate_every=10)
        return run

    def token_file(self, text=TOKEN + "\n"):
        path = self.dir / "token"
        path.write_text(text)
        return path


def raw(port, request, wait=True):
    """Bytes to the server; what it answers until it closes the connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        try:
            connection.sendall(request)
        except OSError:
            pass  # refused before all was said
        answer = b""
        while wait:
            try:
                part = connection.recv(65536)
            except ConnectionResetError:
                break
            if not part:
                break
            answer += part
        return answer


class EventStream:
    """A reader of /api/events."""

    def __init__(self, dashboard, **headers):
        self.connection = dashboard.connect()
        self.connection.request("GET", "/api/events", headers={k.replace("_", "-"): v for k, v in headers.items()})
        self.response = self.connection.getresponse()

    def next(self):
        """The data of the next event; comments are passed over."""
        data = b""
        while True:
            line = self.response.readline()
            if not line:
                raise AssertionError("the stream ended")
            if line.startswith(b"data: "):
                data += line[6:]
            elif not line.strip() and data:
                return json.loads(data)

    def close(self):
        self.response.close()
        self.connection.close()


class Routes(ServeTestCase):

    def test_a_run_can_be_followed_while_it_goes_on(self):
        run = self.run_of()
        with Dashboard(self.runs) as dashboard:
            row = dashboard.runs()["first"]
            self.assertEqual((row["state"], row["step"]), ("running", 40))
            path = f"/api/runs/{row['id']}"
            self.assertEqual(dashboard.get(f"{path}/series?x=tokens")["series"]["loss"]["x"][-1], 40 * 131072)
            self.assertEqual(dashboard.get(path)["sessions"][0]["seed"], 1)
            self.assertIn("step 40", dashboard.get(f"{path}/log")["lines"][-1])
            self.assertIn(b"bertcram_step{run=\"first\"} 40\n", dashboard.ask("/metrics").body)
            csv = dashboard.ask(f"{path}/metrics.csv").body.decode().splitlines()
            self.assertEqual(len(csv), 41)
            stream = EventStream(dashboard)
            self.addCleanup(stream.close)
            self.assertEqual(stream.response.headers["Content-Type"], "text/event-stream")
            self.assertEqual([row["name"] for row in stream.next()["runs"]], ["first"])
            run.advance(10)
            self.assertEqual(stream.next()["runs"][0]["metrics_bytes"] > row["metrics_bytes"], True)
            dashboard.wait_for(lambda: dashboard.get(f"{path}/series")["rows"] == 50)
            run.advance(50, state="finished")
            dashboard.wait_for(lambda: dashboard.runs()["first"]["state"] == "finished")
            self.run_of("second")
            dashboard.wait_for(lambda: "second" in dashboard.runs())

    def test_answers_carry_what_browsers_protect_by(self):
        with Dashboard(self.runs) as dashboard:
            for path in ("/", "/main.js", "/api/runs", "/none"):
                headers = dashboard.ask(path).headers
                self.assertIn("default-src 'none'", headers["Content-Security-Policy"], path)
                self.assertNotIn("unsafe", headers["Content-Security-Policy"], path)
                self.assertEqual(headers["X-Content-Type-Options"], "nosniff", path)
                self.assertIsNone(headers["Access-Control-Allow-Origin"], path)

    def test_nothing_can_be_changed(self):
        run = self.run_of()
        with self.unharmed(run.path), Dashboard(self.runs) as dashboard:
            for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
                answer = dashboard.ask("/api/runs", method, body=b"x" * 100)
                self.assertEqual((answer.status, answer.headers["Allow"]), (405, "GET, HEAD"), method)
            self.assertEqual(dashboard.ask("/", "HEAD").body, b"")

    def test_it_ends_by_signals(self):
        self.run_of()
        for number, code in ((signal.SIGTERM, 143), (signal.SIGINT, 130)):
            dashboard = Dashboard(self.runs)
            stream = EventStream(dashboard)
            stream.next()
            idle = socket.create_connection(("127.0.0.1", dashboard.port))
            result = dashboard.end(number)
            self.assertEqual(result.code, code, result)
            self.assertEqual(result.error_lines, ["stopped"])
            idle.close()
            stream.close()


class FewThreads(ServeTestCase):
    """Where the machine refuses threads. With stacks this large their number is told by the address space."""

    GIB = 1 << 30

    def limited(self, stack_gib, space_gib):
        """bertcram with so much address space in all, and so much for the stack of each of its threads."""
        if resource.getrlimit(resource.RLIMIT_STACK)[1] != resource.RLIM_INFINITY:
            self.skipTest("larger stacks are not allowed here")
        script = self.dir / f"limited-{stack_gib}-{space_gib}"
        script.write_text(f"#!/bin/sh\nulimit -S -v {space_gib * self.GIB // 1024} && ulimit -S -s {stack_gib * self.GIB // 1024} && "
                          f"exec {shlex.quote(str(BINARY))} \"$@\"\n")
        script.chmod(0o755)
        return script

    def test_one_that_cannot_answer_says_so_before_its_address(self):
        result = self.bertcram("serve", "--runs", self.runs, "--port", 0, binary=self.limited(4, 2))
        self.assert_fails(result, RESOURCES, "thread", "ulimit")

    def test_few_threads_answer_and_can_be_stopped(self):
        self.run_of()
        with Dashboard(self.runs, binary=self.limited(1, 6)) as dashboard:  # of the 254 that there may be, some 4
            streams = [EventStream(dashboard)]
            while streams[-1].response.status == 200 and len(streams) < 20:
                streams.append(EventStream(dashboard))
            refused = streams.pop()
            self.assertEqual(refused.response.status, 503, "streams leave a thread for answers")
            refused.close()
            self.assertEqual(dashboard.runs()["first"]["step"], 40)
            for stream in streams:
                stream.close()
            self.assertEqual(dashboard.end().code, 143)

    def test_while_nobody_looks_there_are_few(self):
        with Dashboard(self.runs) as dashboard:
            tasks = pathlib.Path(f"/proc/{dashboard.process.pid}/task")
            dashboard.runs()
            self.assertLess(len(list(tasks.iterdir())), 20)


class Access(ServeTestCase):

    def test_a_token_opens_the_api_and_nothing_else_does(self):
        self.run_of()
        with Dashboard(self.runs, "--token-file", self.token_file()) as dashboard:
            self.assertEqual(dashboard.ask("/").status, 200, "the page asks for the token")
            for path in ("/api/runs", "/api/events", "/metrics", "/api/runs/x/log", "/none"):
                for header in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {TOKEN}"},
                               {"Authorization": f"Bearer {TOKEN}x"}, {"Cookie": TOKEN}):
                    answer = dashboard.ask(path, **header)
                    self.assertEqual((answer.status, answer.headers["WWW-Authenticate"]), (401, "Bearer"), (path, header))
                    self.assertNotIn(b"first", answer.body)
                self.assertEqual(dashboard.ask(f"{path}?token={TOKEN}").status, 401, "addresses end up in logs")
            self.assertEqual(dashboard.ask("/api/runs", Authorization=f"Bearer {TOKEN}").json["runs"][0]["name"], "first")
            self.assertEqual(dashboard.ask("/api/runs", Authorization=f"Bearer {TOKEN}", Host="my.example").status, 200)

    def test_other_addresses_need_a_token_or_a_word(self):
        self.assert_fails(self.bertcram("serve", "--runs", self.runs, "--host", "0.0.0.0", "--port", 0), USAGE, "--token-file",
                          "--insecure")
        with Dashboard(self.runs, "--host", "0.0.0.0", "--token-file", self.token_file()) as dashboard:
            self.assertEqual(dashboard.ask("/api/runs").status, 401)
        with Dashboard(self.runs, "--host", "0.0.0.0", "--insecure") as dashboard:
            self.assertEqual(dashboard.ask("/api/runs").status, 200)

    def test_what_lets_others_look_in_is_said(self):
        for option in ("--token-file", "--host"):  # of a variable that is not set
            self.assert_fails(self.bertcram("serve", "--runs", self.runs, option, ""), USAGE, option, "empty")
        for mode, words in ((0o644, "can be read by other users"), (0o600, "")):
            token = self.token_file()
            token.chmod(mode)
            dashboard = Dashboard(self.runs, "--token-file", token)
            error = dashboard.end().err
            self.assertIn(words, error)
            self.assertEqual("chmod 600" in error, mode == 0o644)
        dashboard = Dashboard(self.runs, "--insecure")
        self.assertIn("--insecure: whoever reaches this port", dashboard.end().err)

    def test_tokens_that_are_none(self):
        for text in ("", "short\n", "with a space in it, though long"):
            self.assert_fails(self.bertcram("serve", "--runs", self.runs, "--token-file", self.token_file(text)), INPUT, "token",
                              "16 to 1000", "openssl")
        self.assert_fails(self.bertcram("serve", "--runs", self.runs, "--token-file", self.token_file("correct%20horse%20battery")),
                          INPUT, "token has at character 8", "'%'", "openssl")
        self.assert_fails(self.bertcram("serve", "--runs", self.runs, "--token-file", self.dir / "none"), INPUT, "none")

    def test_pages_of_others_cannot_ask_under_their_name(self):
        self.run_of()
        with Dashboard(self.runs) as dashboard:
            for host in ("evil.example", f"evil.example:{dashboard.port}", "127.0.0.1.evil.example", ""):
                answer = dashboard.ask("/api/runs", Host=host)
                self.assertEqual(answer.status, 403, host)
                self.assertNotIn(b"first", answer.body)
            for host in ("localhost:9000", "127.0.0.1", "[::1]:1"):
                self.assertEqual(dashboard.ask("/api/runs", Host=host).status, 200, host)


class BadInput(ServeTestCase):

    def test_no_file_outside_can_be_reached(self):
        secret = self.dir / "secret.txt"
        secret.write_text("SECRET\n")
        run = self.run_of()
        for name in ("run.log", "config.yaml"):
            (run.path / name).unlink()
            (run.path / name).symlink_to(secret)
        (self.runs / "linked").symlink_to(self.dir)
        (self.runs / "secret.txt").write_text("SECRET\n")
        with Dashboard(self.runs) as dashboard:
            row = dashboard.runs()["first"]
            paths = ["/../secret.txt", "/%2e%2e/secret.txt", "/..%2fsecret.txt", "/%252e%252e/secret.txt", "/secret.txt",
                     "/first/config.yaml", "//etc/passwd", "/api/runs/../../secret.txt", "/api/runs/%2e%2e%2fsecret.txt/log",
                     "/api/runs/first/log", "/api/runs/..%00/log", "/page/..%5c..%5csecret.txt", f"/api/runs/{row['id']}/../log",
                     f"/api/runs/{row['id']}/config.yaml", f"/api/runs/{row['id']}%2f..%2f..%2fsecret.txt"]
            for path in paths:
                answer = dashboard.ask(path)
                self.assertIn(answer.status, (400, 404), path)
                self.assertNotIn(b"SECRET", answer.body, path)
            for rest in ("", "/log"):
                self.assertNotIn(b"SECRET", dashboard.ask(f"/api/runs/{row['id']}{rest}").body)
            self.assertEqual(list(dashboard.runs()), ["first"])

    def test_requests_that_are_none(self):
        self.run_of()
        with Dashboard(self.runs) as dashboard:
            for request, status in ((b"\r\n\r\n", b" 400 "), (b"GARBAGE\r\n\r\n", b" 400 "), (b"GET / HTTP/9.9\r\n\r\n", b" 400 "),
                                    (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", b" 414 "),
                                    (b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 9000 + b"\r\n\r\n", b" 400 "),
                                    (b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * 100_000 + b"\r\n", b" 431 "),
                                    (b"GET / HTTP/1.1\r\n" + b"a" * 10_000_000, b" 431 "),
                                    (b"POST /api/runs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\n" +
                                     b"x" * 1_000_000, b" 405 "),
                                    (b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffff\r\nx", b" 405 "),
                                    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n", b""),
                                    (bytes(range(256)) * 40 + b"\n", b"")):
                answer = raw(dashboard.port, request)
                if status:
                    self.assertIn(status, answer.split(b"\r\n", 1)[0], request[:60])
            smuggled = raw(dashboard.port, b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 44\r\n\r\n"
                                           b"GET /api/runs HTTP/1.1\r\nHost: localhost\r\n\r\n")
            self.assertEqual(smuggled.count(b"HTTP/1.1 "), 1, "a body is no request")
            smuggled = raw(dashboard.port, b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 20_000 + b"\r\n\r\n")
            self.assertEqual(smuggled.count(b"HTTP/1.1 "), 1, "nor is what follows a header that could not be read")
            many = dashboard.ask("/style.css", Range="bytes=" + ",".join(["0-"] * 1000))
            self.assertEqual(many.status, 200)
            self.assertLess(len(many.body), 100_000, "the same bytes are not sent many times")
            self.assertEqual(dashboard.ask("/api/runs").status, 200)

    def test_files_that_are_written_cut_broken_or_gone(self):
        run = self.run_of()
        self.run_of("gone")
        with Dashboard(self.runs) as dashboard:
            ids = {name: row["id"] for name, row in dashboard.runs().items()}
            series = f"/api/runs/{ids['first']}/series"
            with open(run.metrics, "a") as file:
                file.write('{"step": 41, "tokens": 1, "loss": 1e300}\n{"step": 42, "tokens": 1e308, "loss": -1e300}\n'
                           '{"step": 43, "loss": NaN}\n{"step": 44, "loss": null}\n\0\0garbage\n{"step": 45, "lo')
            dashboard.wait_for(lambda: dashboard.get(series)["rows"] == 43)
            curve = dashboard.get(series)["series"]["loss"]
            self.assertEqual(curve["y"][-3:], [1e300, -1e300, None])
            self.assertEqual(dashboard.get(f"/api/runs/{ids['first']}")["damaged_lines"], 2)
            with open(run.metrics, "a") as file:
                file.write('ss": 5}\n')
            dashboard.wait_for(lambda: dashboard.get(series)["rows"] == 44)
            os.truncate(run.metrics, 900)
            dashboard.wait_for(lambda: dashboard.get(series)["rows"] < 5)
            (run.path / "status.json").write_text("{")
            dashboard.wait_for(lambda: dashboard.runs()["first"]["state"] == "unknown")
            for file in (self.runs / "gone").iterdir():
                file.unlink()
            dashboard.wait_for(lambda: "gone" not in dashboard.runs())
            self.assertEqual(dashboard.ask(f"/api/runs/{ids['gone']}/series").status, 404)

    def test_names_are_data(self):
        self.run_of("<script>alert(1)</script>".replace("/", "_"))
        with Dashboard(self.runs) as dashboard:
            answer = dashboard.ask("/api/runs")
            self.assertEqual(answer.headers["Content-Type"], "application/json")
            self.assertEqual(answer.json["runs"][0]["name"], "<script>alert(1)<_script>")

    def test_folders_and_ports_that_will_not_do(self):
        self.assert_fails(self.bertcram("serve", "--runs", self.dir / "none"), INPUT, "none: no such folder")
        with Dashboard(self.runs) as dashboard:
            message = self.assert_fails(self.bertcram("serve", "--runs", self.runs, "--port", dashboard.port), RESOURCES, "in use",
                                        "is free")
            free = int(message.split("--port ")[1].split()[0])
            with Dashboard(self.runs, port=free) as other:
                self.assertEqual(other.port, free)
        self.assert_fails(self.bertcram("serve", "--runs", self.runs, "--port", 70000), USAGE, "port")
        self.assert_fails(self.bertcram("serve", "--runs", self.runs, "--host", "192.0.2.1", "--insecure"), USAGE, "no address")


class ManyViewers(ServeTestCase):

    def test_five_hundred_runs(self):
        for number in range(500):
            run = SimulatedRun(self.runs, f"sweep/run-{number:03}", budget_steps=10)
            run.advance(5)
        with Dashboard(self.runs) as dashboard:
            self.assertEqual(len(dashboard.runs()), 500)
            self.assertEqual(dashboard.ask("/metrics").body.count(b"bertcram_step{"), 500)

    def test_fifty_viewers_and_some_that_dawdle(self):
        run = self.run_of(steps=90)
        with Dashboard(self.runs) as dashboard:
            idle = [socket.create_connection(("127.0.0.1", dashboard.port)) for _ in range(20)]
            slow = [socket.create_connection(("127.0.0.1", dashboard.port)) for _ in range(20)]
            for connection in slow:
                connection.sendall(b"GET /api/runs HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
            streams = [EventStream(dashboard) for _ in range(50)]
            for stream in streams:
                self.assertEqual(stream.next()["runs"][0]["step"], 90)
            run.advance(10, state="finished")
            told = []

            def view(stream):
                while stream.next()["runs"][0]["state"] != "finished":
                    pass
                row = dashboard.runs()["first"]
                dashboard.wait_for(lambda: dashboard.get(f"/api/runs/{row['id']}/series")["rows"] == 100)
                told.append(dashboard.ask("/").status)

            threads = [threading.Thread(target=view, args=[stream]) for stream in streams]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            self.assertEqual(told, [200] * 50)
            for connection in [*idle, *slow, *streams]:
                connection.close()

    def test_streams_beyond_the_limit_are_told_to_come_back(self):
        self.run_of()
        with Dashboard(self.runs) as dashboard:
            streams = [EventStream(dashboard) for _ in range(121)]
            self.assertEqual([stream.response.status for stream in streams], [200] * 120 + [503])
            self.assertEqual(dashboard.ask("/api/runs").status, 200, "streams leave room for answers")
            for stream in streams:
                stream.close()

            def again():
                stream = EventStream(dashboard)
                self.addCleanup(stream.close)
                return stream.response.status == 200

            dashboard.wait_for(again)

    def test_a_dawdler_is_sent_away(self):
        with Dashboard(self.runs) as dashboard:
            answer = raw(dashboard.port, b"GET / HTTP/1.1\r\nHost: local")
            self.assertIn(b" 408 ", answer.split(b"\r\n", 1)[0])
            self.assertEqual(raw(dashboard.port, b""), b"", "who says nothing hears nothing")


if __name__ == "__main__":
    unittest.main(verbosity=2)
