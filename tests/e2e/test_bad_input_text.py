"""Bad raw text: each mistake has its exit code and one helpful line; nothing is damaged."""

import json
import os
import pathlib
import random
import shutil
import tarfile
import unittest

from support import INPUT, USAGE, E2ETestCase, flip_byte, make_tokenizer, text_fixture, zstd_file


def reading_commands(source, output, tokenizer):
    """The two commands that read raw text."""
    return {"tokenize": ["tokenize", "--input", source, "--output", output, "--vocab-size", 200, "--threads", 1],
            "pack": ["pack", "--input", source, "--tokenizer", tokenizer, "--output", output, "--seq-len", 32,
                     "--valid-frac", 0, "--threads", 1, "--json"]}


class RawText(E2ETestCase):
    """What can be wrong with a text file."""

    def refused(self, source, code, *fragments):
        for name, command in reading_commands(source, self.dir / "out", make_tokenizer()).items():
            with self.subTest(command=name), self.unharmed(self.dir):
                self.assert_fails(self.bertcram(*command), code, *fragments)
                self.assert_no_output(self.dir / "out")

    def taken(self, source):
        """@return the JSON of pack, after tokenize took the file too"""
        commands = reading_commands(source, self.dir / "out-tokenize", make_tokenizer())
        self.assert_ok(self.bertcram(*commands["tokenize"]))
        commands = reading_commands(source, self.dir / "out-pack", make_tokenizer())
        return self.assert_ok(self.bertcram(*commands["pack"])).json

    def test_a_missing_file_is_named(self):
        self.refused(self.dir / "absent.txt", INPUT, "absent.txt", "no such file")

    def test_a_pattern_that_matches_nothing_is_named(self):
        self.refused(self.dir / "*.nothing", INPUT, "*.nothing")

    def test_a_missing_file_among_others_is_named(self):
        command = ["tokenize", "--input", text_fixture(), self.dir / "absent.txt", "--output", self.dir / "out"]
        self.assert_fails(self.bertcram(*command), INPUT, "absent.txt")
        self.assert_no_output(self.dir / "out")

    def test_an_empty_file_holds_no_text(self):
        (self.dir / "empty.txt").write_bytes(b"")
        self.refused(self.dir / "empty.txt", INPUT, ("no text", "empty", "no training row"))

    def test_a_file_of_blank_lines_holds_no_text(self):
        (self.dir / "blank.txt").write_bytes(b"\n \n\t\r\n" * 50)
        self.refused(self.dir / "blank.txt", INPUT, ("no text", "empty", "no training row"))

    def test_an_empty_folder_is_named(self):
        (self.dir / "nothing").mkdir()
        self.refused(self.dir / "nothing", INPUT, "nothing")

    def test_binary_garbage_is_refused_by_name(self):
        (self.dir / "garbage.bin").write_bytes(random.Random(7).randbytes(100_000))
        self.refused(self.dir / "garbage.bin", INPUT, "garbage.bin", "not a text file", "expected")

    def test_an_executable_is_refused_by_name(self):
        (self.dir / "program").write_bytes(pathlib.Path("/bin/sh").read_bytes()[:60_000])
        self.refused(self.dir / "program", INPUT, "program", "not a text file")

    def test_invalid_utf8_is_replaced_and_counted(self):
        source = self.dir / "latin1.txt"
        source.write_bytes(text_fixture().read_bytes() + b"\nA caf\xe9 and a na\xefve \xff\xfe tea .\n" * 3)
        self.assertGreaterEqual(self.taken(source)["invalid_utf8"], 4)
        manifest = json.loads((self.dir / "out-pack" / "manifest.json").read_text())
        self.assertGreaterEqual(manifest["counts"]["invalid_utf8"], 4)

    def test_utf16_is_refused_with_what_converts_it(self):
        (self.dir / "utf16.txt").write_bytes(text_fixture().read_text(encoding="utf-8").encode("utf-16"))
        self.refused(self.dir / "utf16.txt", INPUT, "utf16.txt", "UTF-16", "iconv")
        (self.dir / "chinese.txt").write_bytes(("\u6f22\u5b57" * 4000).encode("utf-16"))  # no byte of it is NUL
        self.refused(self.dir / "chinese.txt", INPUT, "chinese.txt", "UTF-16", "iconv")
        (self.dir / "unmarked.txt").write_bytes(text_fixture().read_text(encoding="utf-8").encode("utf-16-le"))
        self.refused(self.dir / "unmarked.txt", INPUT, "unmarked.txt", "UTF-16", "iconv")

    def test_a_tar_archive_is_refused_whether_compressed_or_not(self):
        for mode, name in (("w", "texts.tar"), ("w:gz", "texts.tar.gz")):
            with tarfile.open(self.dir / name, mode) as archive:
                archive.add(text_fixture(), "text.txt")
            self.refused(self.dir / name, INPUT, name, "tar archive", "unpack")

    def test_another_encoding_is_refused_with_what_converts_it(self):
        text = "\u041f\u0440\u0438\u0432\u0435\u0442, \u043c\u0438\u0440! " * 500
        (self.dir / "cyrillic.txt").write_bytes(text.encode("cp1251"))
        self.refused(self.dir / "cyrillic.txt", INPUT, "cyrillic.txt", "encoding", "iconv")

    def test_files_of_several_encodings_in_a_folder(self):
        text = text_fixture().read_text(encoding="utf-8")
        folder = self.dir / "mixed"
        folder.mkdir()
        (folder / "a.txt").write_bytes(text.encode("utf-8-sig"))
        (folder / "b.txt").write_bytes(b"A caf\xe9 .\n")
        (folder / "c.txt").write_bytes(text.replace("\n", "\r\n").encode())
        packed = self.taken(folder)
        self.assertEqual(packed["invalid_utf8"], 1)
        self.assertGreater(packed["documents_duplicate"], 0)  # the same text after its encoding is undone

    def test_what_a_command_wrote_is_no_input_of_it(self):
        shutil.copy(text_fixture(), self.dir / "text.txt")
        for name, command in reading_commands(self.dir, self.dir / "out", make_tokenizer()).items():
            with self.subTest(command=name):
                shutil.rmtree(self.dir / "out", ignore_errors=True)
                self.assert_ok(self.bertcram(*command))
                again = self.assert_ok(self.bertcram(*command))
                self.assertIn("nothing to do", again.err)

    def test_tokenize_tells_of_invalid_utf8(self):
        source = self.dir / "latin1.txt"
        source.write_bytes(text_fixture().read_bytes() + b"\nA caf\xe9 .\n")
        result = self.assert_ok(self.bertcram("tokenize", "--input", source, "--output", self.dir / "out",
                                              "--vocab-size", 200, "--json"))
        self.assertIn("utf", (result.err + result.text).lower(), "the count of replaced bytes is nowhere" + str(result))

    def test_valid_text_has_no_invalid_utf8(self):
        self.assertEqual(self.taken(text_fixture())["invalid_utf8"], 0)

    def test_nul_bytes_are_dropped_and_counted(self):
        clean, dirty = self.dir / "clean.txt", self.dir / "dirty.txt"
        clean.write_bytes(text_fixture().read_bytes())
        dirty.write_bytes(text_fixture().read_bytes().replace(b"The cat", b"The\0 c\0at"))
        inserted = dirty.read_bytes().count(b"\0")
        self.assertGreater(inserted, 10)
        self.assertEqual(self.taken(dirty)["nul_bytes"], inserted)
        commands = reading_commands(clean, self.dir / "out-clean", make_tokenizer())
        self.assert_ok(self.bertcram(*commands["pack"]))
        for shard in sorted((self.dir / "out-clean").glob("*.bin")):
            self.assertEqual(shard.read_bytes(), (self.dir / "out-pack" / shard.name).read_bytes(), shard.name)

    def test_a_line_of_50_megabytes_is_taken(self):
        source = self.dir / "long.txt"
        with source.open("wb") as file:
            line = text_fixture().read_bytes().replace(b"\n", b" ")
            for _ in range(50_000_000 // len(line) + 1):
                file.write(line)
        self.assertGreater(source.stat().st_size, 50_000_000)
        self.assertEqual(self.taken(source)["documents_read"], 1)

    def test_a_line_of_50_megabytes_without_a_space_is_taken(self):
        source = self.dir / "long.txt"
        source.write_bytes(text_fixture().read_bytes() + b"\n" + b"x" * 50_000_000 + b"\n")
        self.assertEqual(self.taken(source)["documents_read"], 251)

    def test_encode_takes_a_line_of_50_megabytes(self):
        line = "the cat sees the dog . " * 2_200_000
        result = self.bertcram("encode", "--tokenizer", make_tokenizer(), "--threads", 1, stdin=line)
        self.assert_ok(result)
        self.assertEqual(result.out.count(b"\n"), 1)

    def test_a_truncated_zst_is_refused_with_its_name(self):
        whole = zstd_file(text_fixture(), self.dir / "whole.txt.zst").read_bytes()
        (self.dir / "whole.txt.zst").unlink()
        (self.dir / "cut.txt.zst").write_bytes(whole[:len(whole) * 2 // 3])
        self.refused(self.dir / "cut.txt.zst", INPUT, "cut.txt.zst", ("truncated", "ends", "incomplete"))

    def test_a_damaged_zst_is_refused_with_its_name(self):
        source = zstd_file(text_fixture(), self.dir / "bad.txt.zst")
        flip_byte(source, source.stat().st_size // 2)
        self.refused(source, INPUT, "bad.txt.zst", ("damaged", "corrupt", "checksum"))

    def test_a_zst_that_begins_with_a_skippable_frame_is_taken(self):  # as pzstd writes them
        whole = zstd_file(text_fixture(), self.dir / "whole.txt.zst").read_bytes()
        (self.dir / "pzstd.txt.zst").write_bytes(b"\x50\x2a\x4d\x18\x04\0\0\0abcd" + whole)
        self.assertEqual(self.taken(self.dir / "pzstd.txt.zst")["documents_read"], 250)

    def test_a_link_to_itself(self):
        os.symlink("loop.txt", self.dir / "loop.txt")
        self.refused(self.dir / "loop.txt", INPUT, "loop.txt")

    def test_a_text_of_which_all_is_held_out(self):
        command = ["pack", "--input", self.dir / "one.txt", "--tokenizer", make_tokenizer(), "--output", self.dir / "out",
                   "--seq-len", 32, "--valid-frac", 0.5, "--overwrite"]
        refused = []
        for number in range(12):  # whether the only document is held out is a property of its text
            (self.dir / "one.txt").write_text(f"{number} the cat sees the dog . " * 100)
            result = self.bertcram(*command)
            if result.code != 0:
                refused.append(result)
        self.assertTrue(0 < len(refused) < 12)
        for result in refused:
            self.assert_fails(result, INPUT, "held out", "--valid-frac")

    def test_hidden_folders_are_not_looked_into(self):
        folder = self.dir / "corpus"
        (folder / ".git").mkdir(parents=True)
        (folder / ".git" / "index").write_bytes(bytes(range(256)) * 40)
        shutil.copy(text_fixture(), folder / "text.txt")
        self.assertEqual(self.taken(folder)["documents_read"], 250)

    def test_a_file_name_that_is_no_utf8(self):
        source = os.path.join(os.fsencode(self.dir), b"caf\xe9.txt")
        shutil.copy(os.fsencode(text_fixture()), source)
        for _ in range(2):  # the second time each knows its own result
            self.taken(os.fsdecode(source))

    def test_a_text_named_zst_is_told_by_its_content(self):
        shutil.copy(text_fixture(), self.dir / "plain.zst")
        self.assertEqual(self.taken(self.dir / "plain.zst")["documents_read"], 250)

    def test_a_vocabulary_larger_than_the_text_allows(self):
        with self.unharmed(self.dir):
            message = self.assert_fails(
                self.bertcram("tokenize", "--input", text_fixture(), "--output", self.dir / "out", "--vocab-size", 30000,
                              "--threads", 1), USAGE, "30000", "vocab", ("--vocab-size", "more text"))
            self.assertRegex(message.replace("30000", "").replace(",", ""), r"\d\d\d", "the possible size is not named")
            self.assert_no_output(self.dir / "out")

    def test_a_vocabulary_smaller_than_the_alphabet(self):
        self.assert_fails(self.bertcram("tokenize", "--input", text_fixture(), "--output", self.dir / "out",
                                        "--vocab-size", 12, "--threads", 1), USAGE, "12")
        self.assert_no_output(self.dir / "out")

    def test_too_little_text_for_one_row(self):
        (self.dir / "short.txt").write_text("The cat sees .\n")
        commands = reading_commands(self.dir / "short.txt", self.dir / "out", make_tokenizer())
        self.assert_fails(self.bertcram(*commands["pack"]), INPUT, "no training row", "--seq-len")
        self.assert_no_output(self.dir / "out")


if __name__ == "__main__":
    unittest.main(verbosity=2)
