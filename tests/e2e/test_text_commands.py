"""encode and pack: what they promise about lines, threads, seeds and repetition."""

import gzip
import json
import lzma
import struct
import subprocess
import unittest

from support import (BINARY, DONE, HUNG_SECONDS, INPUT, E2ETestCase, environment, make_model, make_tokenizer,
                     text_fixture)


class Encode(E2ETestCase):

    def encode(self, text, *options):
        out = self.assert_ok(self.bertcram("encode", "--tokenizer", make_tokenizer(), *options, stdin=text)).out
        self.assertEqual(bool(out), bool(text))
        return out

    def test_one_line_of_ids_per_line(self):
        lines = self.encode("the cat\nthe dog sees the cat\n").decode().split("\n")
        self.assertEqual(len(lines), 3)
        self.assertEqual(lines[2], "")
        self.assertRegex(lines[0], r"^\d+( \d+)+$")
        vocab = (make_tokenizer() / "vocab.txt").read_text().splitlines()
        self.assertEqual("".join(vocab[int(i)] for i in lines[0].split()).replace("##", ""), "thecat")

    def test_an_empty_line_stays_an_empty_line(self):
        lines = self.encode("the\n\n \t \nthe\n").split(b"\n")
        self.assertEqual(len(lines), 5)
        self.assertEqual(lines[1:3], [b"", b""])
        self.assertEqual(lines[0], lines[3])

    def test_no_input_gives_no_output(self):
        self.assertEqual(self.encode(""), b"")

    def test_only_newlines(self):
        self.assertEqual(self.encode("\n\n\n"), b"\n\n\n")

    def test_carriage_returns_are_no_text(self):
        self.assertEqual(self.encode("the cat\r\n\r\nthe dog\r\n"), self.encode("the cat\n\nthe dog\n"))

    def test_a_missing_final_newline_is_no_matter(self):
        self.assertEqual(self.encode("the cat\nthe dog"), self.encode("the cat\nthe dog\n"))

    def test_tokens_are_the_pieces_of_the_ids(self):
        vocab = (make_tokenizer() / "vocab.txt").read_text().splitlines()
        text = "the cat sees a zebra 12.5 !\n\nThe RIVER\n"
        for ids, tokens in zip(self.encode(text).decode().split("\n"), self.encode(text, "--tokens").decode().split("\n")):
            self.assertEqual([vocab[int(i)] for i in ids.split()], tokens.split())

    def test_special_tokens_stand_around_every_line(self):
        plain = self.encode("the cat\n\n", "--tokens").decode().split("\n")
        special = self.encode("the cat\n\n", "--tokens", "--special").decode().split("\n")
        self.assertEqual(special, [f"[CLS] {plain[0]} [SEP]", "[CLS] [SEP]", ""])

    def test_threads_do_not_change_the_output(self):
        text = text_fixture().read_text() * 20 + "\r\n\n no final newline"
        one = self.encode(text, "--threads", 1)
        self.assertEqual(one, self.encode(text, "--threads", 4))
        self.assertEqual(one.count(b"\n"), text.count("\n") + 1)

    def test_invalid_utf8_and_nul_are_not_fatal(self):
        result = self.bertcram("encode", "--tokenizer", make_tokenizer(), stdin=b"the \xff\xfe cat\n\0\nthe\0cat\n")
        self.assert_ok(result)
        self.assertEqual(result.out.count(b"\n"), 3)

    def test_a_bare_vocabulary_file_is_a_tokenizer(self):
        text = "the cat sees the dog\n"
        result = self.assert_ok(self.bertcram("encode", "--tokenizer", make_tokenizer() / "vocab.txt", stdin=text))
        self.assertEqual(result.out, self.encode(text))

    def test_upper_case_is_lowered_unless_cased(self):
        vocab = make_tokenizer() / "vocab.txt"
        lower = self.assert_ok(self.bertcram("encode", "--tokenizer", vocab, stdin="THE\n")).out
        cased = self.assert_ok(self.bertcram("encode", "--tokenizer", vocab, "--cased", stdin="THE\n")).out
        self.assertEqual(lower, self.encode("the\n"))
        self.assertNotEqual(lower, cased)

    def test_output_comes_before_the_input_ends(self):
        process = subprocess.Popen([str(BINARY), "encode", "--tokenizer", str(make_tokenizer())], stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, env=environment())
        process.stdin.write(b"the cat\n")
        process.stdin.flush()
        self.assertRegex(process.stdout.readline(), rb"^\d+ ")  # would hang otherwise
        process.stdin.close()
        process.wait(timeout=HUNG_SECONDS)
        process.stdout.close()
        self.assertEqual(process.returncode, DONE)


class Pack(E2ETestCase):

    def pack(self, name, source, *options):
        result = self.assert_ok(self.bertcram("pack", "--input", source, "--tokenizer", make_tokenizer(), "--output",
                                              self.dir / name, "--seq-len", 32, "--valid-frac", 0.1, "--json", *options))
        return result.json

    def shards(self, name):
        return {path.name: path.read_bytes() for path in (self.dir / name).glob("*.bin")}

    def test_threads_do_not_change_the_shards(self):
        self.pack("one", text_fixture(), "--threads", 1)
        self.pack("four", text_fixture(), "--threads", 4)
        self.assertEqual(self.shards("one"), self.shards("four"))

    def test_the_seed_changes_the_order(self):
        self.pack("a", text_fixture(), "--seed", 1)
        self.pack("b", text_fixture(), "--seed", 2)
        self.assertNotEqual(self.shards("a"), self.shards("b"))

    def test_a_curriculum_begins_with_short_sentences(self):
        texts = [" ".join(f"the cat sat on mat{'.' * (number % length == 0)}" for number in range(12))
                 for length in range(1, 9)]
        source = self.dir / "sentences.txt"
        source.write_text("\n\n".join(texts) + "\n")
        self.pack("packed", source, "--order", "curriculum", "--valid-frac", 0, "--seq-len", 8)
        self.assertEqual(json.loads((self.dir / "packed" / "manifest.json").read_text())["order"], "curriculum")
        tokenizer = make_tokenizer()
        shown = self.assert_ok(self.bertcram("pack", "--inspect", self.dir / "packed", "--json")).json["rows"]
        first = self.bertcram("encode", "--tokenizer", tokenizer, stdin=texts[0].encode()).text.split()
        self.assertEqual([str(id) for row in shown for id in row["ids"][1:]][:20], first[:20])

    def test_duplicates_are_dropped_and_counted(self):
        doubled = self.dir / "doubled.txt"
        doubled.write_bytes(text_fixture().read_bytes() + b"\n" + text_fixture().read_bytes())
        single = self.pack("single", text_fixture())
        double = self.pack("double", doubled)
        self.assertEqual(double["documents_duplicate"], 250)
        self.assertEqual(double["tokens"], single["tokens"])
        self.assertEqual(self.shards("single"), self.shards("double"))

    def test_filters_are_counted_and_an_absent_evaluation_file_is_named(self):
        lines = text_fixture().read_text("utf-8").split("\n\n")
        words = " ".join(f"word{i}" for i in range(40))  # a text that is near no other
        near_before = self.pack("before", text_fixture(), "--near-duplicates", 0.8)["documents_near_duplicate"]
        text = self.dir / "text.txt"
        text.write_text("\n\n".join([*lines, words, words + " z", "z " + words, "{} [] () <> {} [] () <>\n"]), "utf-8")
        everything = self.pack("everything", text)
        filtered = self.pack("filtered", text, "--near-duplicates", 0.8, "--max-symbols", 0.5)
        self.assertEqual(filtered["documents_near_duplicate"], near_before + 2)
        self.assertEqual(filtered["documents_symbols"], 1)
        kept = filtered["documents_train"] + filtered["documents_valid"]
        self.assertEqual(kept, everything["documents_train"] + everything["documents_valid"] - 3 - near_before)
        evaluation = self.dir / "dev.tsv"
        evaluation.write_text(f"label\ttext\n1\t{words}\n", "utf-8")
        clean = self.pack("clean", text, "--decontaminate", evaluation)
        self.assertEqual(clean["documents_contaminated"], 3)
        self.assert_fails(self.bertcram("pack", "--input", text, "--tokenizer", make_tokenizer(), "--output",
                                        self.dir / "none", "--decontaminate", self.dir / "absent.tsv"),
                          INPUT, "--decontaminate", "absent.tsv")

    def test_the_same_command_again_does_nothing(self):
        first = self.pack("packed", text_fixture())
        times = {path: path.stat().st_mtime_ns for path in (self.dir / "packed").rglob("*") if path.is_file()}
        self.assertEqual(self.pack("packed", text_fixture()), first)
        self.assertEqual({path: path.stat().st_mtime_ns for path in times}, times)

    def test_windows_line_ends_separate_documents_too(self):
        windows = self.dir / "windows.txt"
        windows.write_bytes(text_fixture().read_bytes().replace(b"\n", b"\r\n"))
        self.assertEqual(self.pack("windows", windows)["documents_read"], 250)

    def test_standard_input_is_an_input(self):
        result = self.assert_ok(self.bertcram("pack", "--input", "-", "--tokenizer", make_tokenizer(), "--output",
                                              self.dir / "stdin", "--seq-len", 32, "--valid-frac", 0.1, "--json",
                                              stdin=text_fixture().read_bytes()))
        self.pack("file", text_fixture())
        self.assertEqual(result.json["documents_read"], 250)
        self.assertEqual(self.shards("stdin"), self.shards("file"))

    def test_json_lines_compressed_in_any_way_give_the_same_rows(self):
        documents = text_fixture().read_text().split("\n\n")
        lines = "".join(json.dumps({"id": number, "text": text}) + "\n" for number, text in enumerate(documents))
        plain = self.dir / "plain.jsonl"
        plain.write_text(lines)
        (self.dir / "gzip").write_bytes(gzip.compress(lines.encode()))
        (self.dir / "xz").write_bytes(lzma.compress(lines.encode()))
        self.pack("text", text_fixture())
        for source in (plain, self.dir / "gzip", self.dir / "xz"):
            with self.subTest(source=source.name):
                self.assertEqual(self.pack(f"of-{source.name}", source)["documents_read"], 250)
                self.assertEqual(self.shards(f"of-{source.name}"), self.shards("text"))

    def test_bad_json_lines_are_counted(self):
        path = self.dir / "some.jsonl"
        path.write_text(json.dumps({"text": text_fixture().read_text()}) + "\n{\"text\": 3}\nno json\n")
        self.assertEqual(self.pack("packed", path)["bad_records"], 2)
        self.assert_fails(self.bertcram("pack", "--input", path, "--tokenizer", make_tokenizer(), "--output",
                                        self.dir / "refused", "--max-bad-records", 1), INPUT, f"{path}:3",
                          "--max-bad-records")
        self.assert_no_output(self.dir / "refused")

    def test_inspect_shows_what_a_folder_holds(self):
        self.pack("packed", text_fixture())
        found = self.assert_ok(self.bertcram("pack", "--inspect", self.dir / "packed", "--json")).json
        self.assertEqual(found["manifest"], json.loads((self.dir / "packed" / "manifest.json").read_text()))
        self.assertEqual([(row["split"], row["row"]) for row in found["rows"]],
                         [(split, number) for split in ("train", "valid") for number in range(3)])
        (stored,) = (self.dir / "packed").glob("train-*.bin")
        self.assertEqual(found["rows"][1]["ids"],
                         list(struct.unpack_from("<32H", stored.read_bytes(), 64 + 64)))  # header, then rows of 2 x 32
        vocab = (make_tokenizer() / "vocab.txt").read_text().splitlines()
        pieces = [vocab[id] for id in found["rows"][1]["ids"]]
        self.assertEqual(found["rows"][1]["text"].replace(" ", ""), "".join(pieces).replace("##", ""))
        bounds = [0, *[at + 1 for at, piece in enumerate(pieces[:-1]) if piece == "[SEP]"], len(pieces)]
        self.assertEqual(found["rows"][1]["document_bounds"], bounds)
        text = self.assert_ok(self.bertcram("pack", "--inspect", self.dir / "packed")).text
        for fragment in ("250 documents read", str(text_fixture()), "(blocks)", "train row 2 (parts of ", ": [CLS] ", "dedup", "order shuffled",
                         "min_chars 1: 0 documents removed", "duplicate_paragraphs false: 0 lines removed"):
            self.assertIn(fragment, text)

    def test_inspect_refuses_what_is_no_packed_folder(self):
        self.assert_fails(self.bertcram("pack", "--inspect", self.dir), INPUT, self.dir)
        self.assert_fails(self.bertcram("pack", "--inspect", make_tokenizer()), INPUT, make_tokenizer())

    def test_the_model_folder_is_a_tokenizer(self):
        self.pack("packed", text_fixture())
        self.assert_ok(self.bertcram("pack", "--input", text_fixture(), "--tokenizer", make_model(), "--output",
                                     self.dir / "by-model", "--seq-len", 32, "--valid-frac", 0.1))
        self.assertEqual(self.shards("packed"), self.shards("by-model"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
