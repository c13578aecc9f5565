"""scripts/get_corpus.sh with lists of its own against a local server, and the list that comes with it."""
import re
import unittest

from data_server import Page
from script_support import DONE, INPUT, RESOURCES, ROOT, USAGE, ScriptTest, sha256


class CorpusTest(ScriptTest):
    def setUp(self):
        super().setUp()
        self.texts = {"wikipedia/w0.txt": b"an article\n" * 10, "wikipedia/w1.txt": b"two articles\n" * 20,
                      "books/b0.txt": b"a book\n" * 30}
        for path, text in self.texts.items():
            self.pages[f"/{path}"] = Page(text)

    def write_list(self, *lines):
        text = "# part, file, bytes, sha256, url\n\n" + "".join(f"{line}\n" for line in lines)
        (self.folder / "list.tsv").write_text(text)

    def line(self, path, size=None, checksum=None, url=None):
        part, file = path.split("/")
        text = self.texts.get(path, b"")
        return "\t".join([part, file, str(len(text) if size is None else size), checksum or sha256(text),
                          url or self.url(f"/{path}")])

    def get(self, *words, **extra):
        return self.script("get_corpus.sh", "--list", "list.tsv", "--output", "out", *words, **extra)

    def fetched(self):
        return sorted(str(p.relative_to(self.folder / "out")) for p in (self.folder / "out").rglob("*")
                      if p.is_file() and not any(part.startswith(".") for part in p.relative_to(self.folder).parts))


class Corpus(CorpusTest):
    def test_all_parts_are_fetched_and_a_second_run_asks_nothing(self):
        self.write_list(*map(self.line, self.texts))
        self.assert_code(self.get(), DONE)
        self.assertEqual(self.fetched(), sorted(self.texts))
        for path, text in self.texts.items():
            self.assertEqual(self.read(f"out/{path}"), text)
        self.server.requests.clear()
        self.assert_code(self.get(), DONE)
        self.assertEqual(self.server.requests, [])

    def test_only_the_parts_asked_for(self):
        self.write_list(*map(self.line, self.texts))
        self.assert_code(self.get("--parts", "books"), DONE)
        self.assertEqual(self.fetched(), ["books/b0.txt"])
        result = self.get("--parts", "books,bokos")
        self.assert_code(result, USAGE)
        self.assertIn("no part 'bokos'", result.stderr)
        self.assertIn("wikipedia,books", result.stderr)

    def test_a_budget_takes_whole_files_from_the_parts_by_turns(self):
        self.write_list(*map(self.line, self.texts))
        result = self.get("--max-bytes", "400")  # 110 of wikipedia, 210 of books; the second of wikipedia has 260
        self.assert_code(result, DONE)
        self.assertEqual(self.fetched(), ["books/b0.txt", "wikipedia/w0.txt"])
        self.assertIn("2 files, 320 bytes, 320 bytes to fetch", result.stderr)
        self.assert_code(self.get("--max-bytes", "1K"), DONE)  # what is there counts as taken
        self.assertEqual(self.fetched(), sorted(self.texts))

    def test_a_budget_below_the_first_file_is_a_mistake(self):
        self.write_list(*map(self.line, self.texts))
        self.assert_code(self.get("--max-bytes", "99"), USAGE)
        for words in ("12GB", "0", "-1", "1.5G"):
            with self.subTest(words=words):
                self.assert_code(self.get("--max-bytes", words), USAGE)

    def test_sizes_and_checksums_left_to_the_hub_are_asked_for_once(self):
        path = "wikipedia/w0.txt"
        text = self.texts[path]
        hub = {"X-Linked-Etag": f'"{sha256(text)}"', "X-Linked-Size": str(len(text))}
        self.pages[f"/{path}"] = Page(redirect="/store", headers=hub)
        self.pages["/store"] = Page(text)
        self.write_list(self.line(path, "-", "hub"))
        result = self.get("--max-bytes", "1K")
        self.assert_code(result, DONE)
        self.assertIn("SHA-256 verified", result.stderr)
        self.assertEqual([m for m, p, _ in self.server.requests if p == f"/{path}"], ["HEAD", "GET"])

    def test_a_mirror_is_tried_first_and_the_source_serves_what_it_lacks(self):
        self.write_list(*map(self.line, self.texts))
        self.pages["/copy/wikipedia/w0.txt"] = Page(self.texts["wikipedia/w0.txt"])
        self.pages["/copy/books/b0.txt"] = Page(b"not this book")
        self.assert_code(self.get("--mirror", self.url("/copy")), DONE)
        self.assertEqual(self.fetched(), sorted(self.texts))
        asked = [path for path, _ in self.server.gets()]
        self.assertIn("/copy/wikipedia/w0.txt", asked)
        self.assertNotIn("/wikipedia/w0.txt", asked)
        self.assertIn("/books/b0.txt", asked)
        self.assert_code(self.get("--mirror", "example.org"), USAGE)

    def test_a_mirror_that_answers_with_a_page_of_its_own_does_not_set_the_size(self):
        path = "wikipedia/w0.txt"
        text = self.texts[path]
        self.pages[f"/{path}"] = Page(text, headers={"X-Linked-Etag": f'"{sha256(text)}"', "X-Linked-Size": str(len(text))})
        self.pages[f"/copy/{path}"] = Page(b"<html>this mirror has moved</html>")
        self.write_list(self.line(path, "-", "hub"))
        self.assert_code(self.get("--mirror", self.url("/copy")), DONE)
        self.assertEqual(self.read(f"out/{path}"), text)

    def test_without_size_and_checksum_a_file_still_comes_but_not_within_a_budget(self):
        self.write_list(self.line("books/b0.txt", "-", "-"))
        result = self.get()
        self.assert_code(result, DONE)
        self.assertIn("not verified: no published checksum", result.stderr)
        self.write_list(self.line("books/b1.txt", "-", "-"))  # the server has no such page
        self.assert_code(self.get("--max-bytes", "1K"), INPUT)

    def test_a_wrong_file_stops_it_and_the_others_stay(self):
        self.write_list(self.line("wikipedia/w0.txt"), self.line("books/b0.txt", checksum=sha256(b"x")))
        self.assert_code(self.get(), INPUT)
        self.assertEqual(self.fetched(), ["wikipedia/w0.txt"])

    def test_a_run_that_was_cut_goes_on(self):
        self.write_list(*map(self.line, self.texts))
        self.pages["/books/b0.txt"].cuts = [50, 0, 0, 0]
        self.assert_code(self.get(), RESOURCES)
        self.server.requests.clear()
        self.assert_code(self.get(), DONE)
        self.assertIn(("/books/b0.txt", "bytes=50-"), self.server.gets())
        self.assertEqual(self.fetched(), sorted(self.texts))

    def test_what_the_whole_fetch_needs_is_compared_with_the_disk_first(self):
        self.write_list(*map(self.line, self.texts))
        tools = self.folder / "tools"
        tools.mkdir()
        (tools / "df").write_text("#!/bin/sh\necho Avail\necho 300\n")  # each file fits, all three do not
        (tools / "df").chmod(0o755)
        result = self.run_script("bash", "-c", f'PATH="{tools}:$PATH" "$@"', "sh", ROOT / "scripts/get_corpus.sh",
                                 "--list", "list.tsv", "--output", "out")
        self.assert_code(result, RESOURCES)
        self.assertEqual(self.server.gets(), [])


class Lists(CorpusTest):
    def test_every_mistake_is_told_with_its_line(self):
        good = self.line("books/b0.txt")
        self.write_list(good, "books\tb1.txt\t10", self.line("books/b2.txt", size="ten"),
                        self.line("books/b3.txt", checksum="abc"), self.line("books/b4.txt", url="ftp://host/b4"),
                        self.line("books/.b5"), self.line("books/b7.txt", url=" "), good, self.line("books/b6.txt").replace("b6.txt", "../x", 1))
        result = self.get()
        self.assert_code(result, USAGE)
        for expected in ("list.tsv:4: 3 columns, expected 5", "list.tsv:5: bytes 'ten'", "list.tsv:6: sha256 'abc'",
                         "list.tsv:7: url 'ftp://host/b4'", "list.tsv:8: file '.b5",
                         "list.tsv:9: no url", "list.tsv:10: books/b0.txt is in line 3 already",
                         "list.tsv:11: file '../x'", "8 lines to mend"):
            self.assertIn(expected, result.stderr)
        self.assertEqual(self.server.requests, [])
        self.assertFalse((self.folder / "out").exists())

    def test_a_missing_or_empty_list_is_told(self):
        self.assert_code(self.get(), INPUT)
        self.write_list()
        self.assert_code(self.get(), USAGE)

    def test_windows_line_ends_and_a_missing_last_one_are_no_mistake(self):
        (self.folder / "list.tsv").write_text("\r\n".join(map(self.line, self.texts)), newline="")
        self.assert_code(self.get(), DONE)
        self.assertEqual(self.fetched(), sorted(self.texts))

    def test_the_list_that_comes_with_it_is_read_and_complete(self):
        command = ('. "$ROOT/scripts/lib.sh"; . "$ROOT/scripts/source_list.sh"; read_source_list "$1"; '
                   'printf "%s\\n" "${source_url[@]}"')
        result = self.run_script("bash", "-euo", "pipefail", "-c", command, "sh", ROOT / "scripts/corpus_sources.tsv")
        self.assert_code(result, DONE)
        numbers = [tuple(map(int, m)) for m in re.findall(r"train-(\d+)-of-(\d+)", result.stdout)]
        self.assertEqual(numbers, [(i, 41) for i in range(41)] + [(i, 23) for i in range(23)])
        self.assertTrue(all("/resolve/main/" not in url for url in result.stdout.split()), "an address that may change")


class Help(ScriptTest):
    def test_help_has_an_example_that_names_only_options_that_exist(self):
        for name in ("get_corpus.sh", "get_glue.sh"):
            with self.subTest(script=name):
                result = self.script(name, "--help")
                self.assert_code(result, DONE)
                source = (ROOT / "scripts" / name).read_text()
                example = re.search(rf"for example:  scripts/{name} (.*)", result.stdout).group(1)
                for option in re.findall(r"--[a-z-]+", example):
                    self.assertIn(f"    {option}) ", source)

    def test_mistakes_on_the_command_line_are_usage(self):
        for name in ("get_corpus.sh", "get_glue.sh"):
            for words in (["--no-such"], ["--output"], ["stray"]):
                with self.subTest(script=name, words=words):
                    result = self.script(name, *words)
                    self.assert_code(result, USAGE)
                    self.assertIn("--help", result.stderr)


if __name__ == "__main__":
    unittest.main()
