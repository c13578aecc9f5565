"""scripts/fetch.sh against a server that misbehaves: nothing wrong ever stands under the final name, nothing is lost."""
import os
import shutil
import signal
import subprocess
import time
import unittest

from data_server import Page
from script_support import DONE, FETCH, HUNG_SECONDS, INPUT, RESOURCES, ScriptTest, environment, sha256

BYTES = bytes(range(256)) * 40  # 10,240 bytes, no two neighbouring kilobytes cut alike
OTHER = bytes(reversed(BYTES))


class Downloads(ScriptTest):
    def test_a_file_is_fetched_verified_and_leaves_no_part(self):
        self.pages["/a"] = Page(BYTES)
        result = self.fetch("a.bin", len(BYTES), sha256(BYTES), self.url("/a"))
        self.assert_code(result, DONE)
        self.assertEqual(self.read("a.bin"), BYTES)
        self.assertFalse(self.part("a.bin").exists())
        self.assertIn("verified", result.stderr)
        self.assertNotIn("not verified", result.stderr)

    def test_an_empty_file_is_a_file(self):
        self.pages["/a"] = Page(b"")
        self.assert_code(self.fetch("a.bin", 0, sha256(b""), self.url("/a")), DONE)
        self.assertEqual(self.read("a.bin"), b"")

    def test_a_second_run_asks_the_server_nothing(self):
        self.pages["/a"] = Page(BYTES)
        for checksum in (sha256(BYTES), "-"):
            with self.subTest(checksum=checksum):
                name = f"a{len(checksum)}.bin"
                self.assert_code(self.fetch(name, "-", checksum, self.url("/a")), DONE)
                before = len(self.server.requests)
                self.assert_code(self.fetch(name, "-", checksum, self.url("/a")), DONE)
                self.assertEqual(len(self.server.requests), before)

    def test_without_a_published_checksum_it_says_so_now_and_later(self):
        self.pages["/a"] = Page(BYTES)
        for _ in range(2):
            result = self.fetch("a.bin", len(BYTES), "-", self.url("/a"))
            self.assert_code(result, DONE)
            self.assertIn("not verified: no published checksum", result.stderr)

    def test_a_changed_file_on_disk_is_refused_and_not_overwritten(self):
        self.pages["/a"] = Page(BYTES)
        self.assert_code(self.fetch("a.bin", len(BYTES), sha256(BYTES), self.url("/a")), DONE)
        (self.folder / "a.bin").write_bytes(b"mine")
        result = self.fetch("a.bin", len(BYTES), sha256(BYTES), self.url("/a"))
        self.assert_code(result, INPUT)
        self.assertIn("move it away", result.stderr)
        self.assertEqual(self.read("a.bin"), b"mine")

    def test_a_file_put_there_by_hand_with_the_right_checksum_is_taken(self):
        (self.folder / "a.bin").write_bytes(BYTES)
        self.assert_code(self.fetch("a.bin", len(BYTES), sha256(BYTES), self.url("/a")), DONE)
        self.assertEqual(self.server.requests, [])

    def test_a_redirection_is_followed(self):
        self.pages["/a"] = Page(redirect="/b")
        self.pages["/b"] = Page(BYTES)
        self.assert_code(self.fetch("a.bin", "-", sha256(BYTES), self.url("/a")), DONE)
        self.assertEqual(self.read("a.bin"), BYTES)

    def test_the_hubs_headers_give_size_and_checksum_even_before_a_redirection(self):
        hub = {"X-Linked-Etag": f'"{sha256(BYTES)}"', "X-Linked-Size": str(len(BYTES))}
        self.pages["/a"] = Page(redirect="/b", headers=hub)
        self.pages["/b"] = Page(BYTES, head_status=403)  # addresses signed for GET refuse HEAD
        result = self.fetch("a.bin", "-", "hub", self.url("/a"))
        self.assert_code(result, DONE)
        self.assertIn("SHA-256 verified", result.stderr)
        self.pages["/b"] = Page(OTHER, head_status=403)
        result = self.fetch("b.bin", "-", "hub", self.url("/a"))
        self.assert_code(result, INPUT)
        self.assertFalse((self.folder / "b.bin").exists())


    def test_where_the_hub_should_name_the_checksum_a_server_that_does_not_is_not_used(self):
        self.pages["/page"] = Page(b"<html>sign in first</html>")
        self.pages["/hub"] = Page(BYTES, headers={"X-Linked-Etag": f'"{sha256(BYTES)}"'})
        result = self.fetch("a.bin", "-", "hub", self.url("/page"))
        self.assert_code(result, INPUT)
        self.assertFalse((self.folder / "a.bin").exists())
        self.assert_code(self.fetch("a.bin", "-", "hub", self.url("/page"), self.url("/hub")), DONE)
        self.assertEqual(self.read("a.bin"), BYTES)
        self.assertEqual(self.server.gets("/page"), [])


class Interruptions(ScriptTest):
    def test_a_cut_connection_is_continued_and_only_the_rest_is_asked_for(self):
        self.pages["/a"] = Page(BYTES, cuts=[4000, 3000])
        self.assert_code(self.fetch("a.bin", len(BYTES), sha256(BYTES), self.url("/a")), DONE)
        self.assertEqual(self.read("a.bin"), BYTES)
        self.assertEqual(self.server.gets(), [("/a", None), ("/a", "bytes=4000-"), ("/a", "bytes=7000-")])

    def test_a_later_run_continues_what_an_earlier_one_left(self):
        self.pages["/a"] = Page(BYTES, cuts=[4000, 0], etag='"one"')
        for checksum, name in ((sha256(BYTES), "a.bin"), ("-", "b.bin")):
            with self.subTest(checksum=checksum):
                self.pages["/a"].cuts, self.server.requests[:] = [4000, 0], []
                self.assert_code(self.fetch(name, "-", checksum, self.url("/a"), BERTCRAM_FETCH_TRIES="1"), RESOURCES)
                self.assertEqual(self.part(name).read_bytes(), BYTES[:4000])
                self.assertFalse((self.folder / name).exists())
                self.assert_code(self.fetch(name, "-", checksum, self.url("/a")), DONE)
                self.assertEqual(self.read(name), BYTES)
                self.assertEqual(self.server.gets()[-1], ("/a", "bytes=4000-"))

    def test_a_stalled_connection_is_given_up_and_continued(self):
        self.pages["/a"] = Page(BYTES, stalls=[5000])
        self.assert_code(self.fetch("a.bin", len(BYTES), sha256(BYTES), self.url("/a")), DONE)
        self.assertEqual(self.server.gets(), [("/a", None), ("/a", "bytes=5000-")])
        self.assertEqual(self.read("a.bin"), BYTES)

    def test_a_server_without_range_is_asked_from_the_start_again(self):
        self.pages["/a"] = Page(BYTES, ranges=False, cuts=[4000])
        self.assert_code(self.fetch("a.bin", len(BYTES), sha256(BYTES), self.url("/a")), DONE)
        self.assertEqual(self.read("a.bin"), BYTES)
        self.assertEqual(self.server.gets()[-1], ("/a", None))

    def test_a_server_without_range_that_always_cuts_is_given_up(self):
        self.pages["/a"] = Page(BYTES, ranges=False, cuts=[4000] * 50)
        result = self.fetch("a.bin", len(BYTES), sha256(BYTES), self.url("/a"))
        self.assert_code(result, RESOURCES)
        self.assertIn("gave up", result.stderr)

    def test_a_file_that_changed_between_two_runs_is_started_again(self):
        for checksum in ("-", sha256(OTHER)):
            with self.subTest(checksum=checksum):
                name = f"a{len(checksum)}.bin"
                self.pages["/a"] = Page(BYTES, cuts=[4000], etag='"one"')
                self.assert_code(self.fetch(name, "-", checksum, self.url("/a"), BERTCRAM_FETCH_TRIES="1"), RESOURCES)
                self.assertTrue(self.part(name).exists())
                self.pages["/a"] = Page(OTHER, etag='"two"')
                self.assert_code(self.fetch(name, "-", checksum, self.url("/a")), DONE)
                self.assertEqual(self.read(name), OTHER)

    def test_a_file_that_changes_between_two_attempts_is_started_again(self):
        self.pages["/a"] = page = Page(BYTES, cuts=[4000], etag='"one"')
        reply = self.server.reply_content

        def change_after_the_first_get(request, page_, headers):
            reply(request, page_, headers)
            if request.command == "GET":
                page.content, page.etag = OTHER, '"two"'

        self.server.reply_content = change_after_the_first_get
        self.assert_code(self.fetch("a.bin", "-", "-", self.url("/a")), DONE)
        self.assertEqual(self.read("a.bin"), OTHER)

    def test_without_checksum_and_version_nothing_old_is_continued(self):
        self.pages["/a"] = Page(BYTES, cuts=[4000])
        self.assert_code(self.fetch("a.bin", "-", "-", self.url("/a"), BERTCRAM_FETCH_TRIES="1"), RESOURCES)
        self.pages["/a"] = Page(OTHER)
        self.assert_code(self.fetch("a.bin", "-", "-", self.url("/a")), DONE)
        self.assertEqual(self.read("a.bin"), OTHER)

    def test_pieces_of_two_versions_are_noticed_and_the_file_is_started_again(self):
        self.pages["/a"] = Page(OTHER, cuts=[4000])  # neither tag nor date: only the checksum can tell
        self.assert_code(self.fetch("a.bin", "-", sha256(BYTES), self.url("/a"), BERTCRAM_FETCH_TRIES="1"), RESOURCES)
        self.pages["/a"] = Page(BYTES)
        self.assert_code(self.fetch("a.bin", "-", sha256(BYTES), self.url("/a")), DONE)
        self.assertEqual(self.read("a.bin"), BYTES)
        self.assertEqual([r for _, r in self.server.gets()], [None, "bytes=4000-", None])

    def test_a_busy_server_is_asked_again(self):
        self.pages["/a"] = Page(BYTES, statuses=[503, 429])
        self.assert_code(self.fetch("a.bin", len(BYTES), sha256(BYTES), self.url("/a")), DONE)

    def test_a_signal_keeps_what_has_come_for_the_next_run(self):
        for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
            with self.subTest(signal=number):
                name = f"{code}.bin"
                self.pages["/a"] = Page(BYTES, stalls=[9000])
                command = ["bash", "-euo", "pipefail", "-c", FETCH, "fetch", self.folder, self.folder / name, len(BYTES),
                           sha256(BYTES), self.url("/a")]
                # A job in the background ignores SIGINT and hands that down; a user at a terminal has it.
                process = subprocess.Popen([str(word) for word in command], env=environment(BERTCRAM_FETCH_STALL="60"),
                                           stderr=subprocess.PIPE, text=True,
                                           preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
                while not (self.part(name).exists() and self.part(name).stat().st_size >= 4096):  # curl writes blocks
                    self.assertIsNone(process.poll(), "it ended by itself")
                    time.sleep(0.02)
                process.send_signal(number)
                _, error = process.communicate(timeout=HUNG_SECONDS)
                self.assertEqual(process.returncode, code)
                self.assertIn("give the same command again", error)
                kept = self.part(name).stat().st_size
                self.server.requests.clear()
                self.assert_code(self.fetch(name, len(BYTES), sha256(BYTES), self.url("/a")), DONE)
                self.assertEqual(self.server.gets(), [("/a", f"bytes={kept}-")])
                self.assertEqual(self.read(name), BYTES)


class WrongSources(ScriptTest):
    def test_wrong_bytes_never_stand_under_the_final_name(self):
        self.pages["/a"] = Page(OTHER)
        result = self.fetch("a.bin", len(BYTES), sha256(BYTES), self.url("/a"))
        self.assert_code(result, INPUT)
        self.assertIn(f"SHA-256 {sha256(OTHER)}, expected {sha256(BYTES)}", result.stderr)
        self.assertFalse((self.folder / "a.bin").exists())
        self.assertFalse(self.part("a.bin").exists())

    def test_another_size_is_noticed_before_the_download(self):
        self.pages["/a"] = Page(BYTES)
        result = self.fetch("a.bin", 99, "-", self.url("/a"))
        self.assert_code(result, INPUT)
        self.assertIn("10240 bytes, expected 99", result.stderr)
        self.assertEqual(self.server.gets(), [])

    def test_after_a_missing_page_and_wrong_bytes_the_next_source_serves(self):
        self.pages["/wrong"] = Page(OTHER)
        self.pages["/right"] = Page(BYTES)
        result = self.fetch("a.bin", len(BYTES), sha256(BYTES), self.url("/none"), self.url("/wrong"), self.url("/right"))
        self.assert_code(result, DONE)
        self.assertEqual(self.read("a.bin"), BYTES)
        self.assertEqual(self.server.gets(), [("/none", None), ("/wrong", None), ("/right", None)])
        self.assertIn("answers 404", result.stderr)

    def test_a_missing_page_is_not_asked_for_again(self):
        result = self.fetch("a.bin", len(BYTES), sha256(BYTES), self.url("/none"))
        self.assert_code(result, INPUT)
        self.assertEqual(len(self.server.gets()), 1)
        self.assertFalse((self.folder / "a.bin").exists())

    def test_a_source_is_continued_from_another_when_the_checksum_is_known(self):
        self.pages["/first"] = Page(BYTES, cuts=[4000] + [0] * 9)
        self.pages["/second"] = Page(BYTES)
        self.assert_code(self.fetch("a.bin", len(BYTES), sha256(BYTES), self.url("/first"), self.url("/second")), DONE)
        self.assertEqual(self.server.gets("/second"), [("/second", "bytes=4000-")])
        self.assertEqual(self.read("a.bin"), BYTES)

    def test_a_server_that_is_not_there_is_a_matter_of_resources(self):
        url = self.url("/a")
        self.server.close()
        self.assert_code(self.fetch("a.bin", len(BYTES), sha256(BYTES), url), RESOURCES)


class Machine(ScriptTest):
    def test_a_disk_without_room_is_told_before_the_download(self):
        tools = self.folder / "tools"
        tools.mkdir()
        (tools / "df").write_text("#!/bin/sh\necho Avail\necho 1000\n")
        (tools / "df").chmod(0o755)
        self.pages["/a"] = Page(BYTES)
        result = self.fetch("a.bin", "-", sha256(BYTES), self.url("/a"), PATH=f"{tools}:{os.environ['PATH']}")
        self.assert_code(result, RESOURCES)
        self.assertIn("10240 bytes are needed and 1000 are free", result.stderr)
        self.assertEqual(self.server.gets(), [])

    def test_two_fetches_into_one_folder_do_not_meet(self):
        command = '. "$ROOT/scripts/lib.sh"; . "$ROOT/scripts/fetch.sh"; fetch_begin "$1"; bash -c "$2" fetch "$1"'
        second = 'exec 9>&-; . "$ROOT/scripts/lib.sh"; . "$ROOT/scripts/fetch.sh"; fetch_begin "$1"'
        result = self.run_script("bash", "-c", command, "fetch", self.folder, second)
        self.assert_code(result, RESOURCES)
        self.assertIn("another fetch", result.stderr)

    @unittest.skipUnless(shutil.which("wget"), "wget is not installed")
    def test_wget_serves_where_curl_is_missing(self):
        self.pages["/a"] = Page(BYTES, cuts=[4000])
        self.pages["/plain"] = Page(BYTES, cuts=[4000], ranges=False)
        self.pages["/wrong"] = Page(OTHER)
        for path, code in (("/a", DONE), ("/plain", DONE), ("/none", INPUT), ("/wrong", INPUT)):
            with self.subTest(path=path):
                name = f"{path[1:]}.bin"
                result = self.fetch(name, len(BYTES), sha256(BYTES), self.url(path), BERTCRAM_FETCH_WITH="wget")
                self.assert_code(result, code)
                self.assertEqual((self.folder / name).exists(), code == DONE)
        self.assertEqual(self.server.gets("/a"), [("/a", None), ("/a", "bytes=4000-")])
        self.assertEqual(self.read("a.bin"), BYTES)
        self.assertEqual(self.read("plain.bin"), BYTES)


if __name__ == "__main__":
    unittest.main()
