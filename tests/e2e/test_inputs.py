"""What --input takes beyond text: Parquet files and lists of sources, through the commands that read them."""

import json
import shutil
import subprocess
import unittest

from support import BINARY, INPUT, ROOT, USAGE, E2ETestCase, make_tokenizer, text_fixture

HAS_PARQUET = (BINARY.parent / "libbertcram_parquet.so").exists()
# Writes a file of each representation of a string column; runs in the environment whose libraries bertcram reads with.
WRITE_PARQUET = """
import json, sys
import pyarrow as pa, pyarrow.parquet as pq
folder, texts = sys.argv[1], json.load(sys.stdin)
types = {"string": pa.string(), "large": pa.large_string(), "dictionary": pa.dictionary(pa.int32(), pa.string())}
for name, kind in types.items():
    table = pa.table({"id": pa.array(range(len(texts))), "text": pa.array(texts, kind)})
    pq.write_table(table, f"{folder}/{name}.data", row_group_size=100, compression="zstd")
"""


def documents():
    return [block.strip("\n") for block in text_fixture().read_text("utf-8").split("\n\n")]


class InputsTestCase(E2ETestCase):

    def command(self, name, *sources):
        return ["pack", "--tokenizer", make_tokenizer(), "--output", self.dir / name, "--seq-len", 32, "--valid-frac", 0.1,
                "--threads", 2, "--json", "--input", *sources]

    def pack(self, name, *sources):
        return self.assert_ok(self.bertcram(*self.command(name, *sources)))

    def shards(self, name):
        return {path.name: path.read_bytes() for path in (self.dir / name).glob("*.bin")}

    def manifest(self, name):
        return json.loads((self.dir / name / "manifest.json").read_text("utf-8"))


class Parquet(InputsTestCase):

    def setUp(self):
        super().setUp()
        if not HAS_PARQUET:
            self.skipTest("this build has no Parquet")

    def write(self, texts):
        """The files of WRITE_PARQUET."""
        for python in sorted((ROOT / ".deps/venv/bin").glob("python3")):
            made = subprocess.run([python, "-c", WRITE_PARQUET, str(self.dir)], input=json.dumps(texts), text=True,
                                  capture_output=True)
            if made.returncode == 0:
                return [self.dir / f"{name}.data" for name in ("string", "large", "dictionary")]
        self.skipTest("no Python with pyarrow in .deps/venv")

    def test_its_rows_give_the_shards_of_the_same_texts(self):
        files = self.write(documents())
        self.pack("text", text_fixture())
        for file in files:
            with self.subTest(kind=file.stem):
                self.assertEqual(self.pack(f"of-{file.stem}", file).json["documents_read"], 250)
                self.assertEqual(self.shards(f"of-{file.stem}"), self.shards("text"))
                self.assertEqual(self.manifest(f"of-{file.stem}")["sources"][0]["format"], "parquet")
        again = self.bertcram(*self.command("of-string", files[0]))
        self.assertIn("already holds this result", self.assert_ok(again).err)
        self.assert_ok(self.bertcram("tokenize", "--input", files[0], "--output", self.dir / "tokenizer", "--vocab-size",
                                     200))
        self.assertEqual((self.dir / "tokenizer/vocab.txt").read_bytes(), (make_tokenizer() / "vocab.txt").read_bytes())

    def test_what_is_wrong_with_it_is_one_line(self):
        file = self.write([*documents(), None])[0]
        whole = file.read_bytes()
        cases = {"cut.parquet": whole[:len(whole) // 2], "flipped.parquet": whole[:2000] + bytes(500) + whole[2500:]}
        for name, content in cases.items():
            (self.dir / name).write_bytes(content)
            with self.subTest(case=name):
                self.assert_fails(self.bertcram(*self.command("out", self.dir / name)), INPUT, name, "parquet")
                self.assert_no_output(self.dir / "out")
        command = self.command("out", file)
        self.assert_fails(self.bertcram(*command, "--text-field", "body"), INPUT, file, "'body'", "id, text")
        self.assert_fails(self.bertcram(*command, "--text-field", "id"), INPUT, file, "'id'", "no texts")
        self.assert_fails(self.bertcram(*command, "--max-bad-records", 0), INPUT, file, "row 251", "--max-bad-records")
        self.assert_fails(self.bertcram(*self.command("out", "-"), stdin=whole), INPUT, "standard input", "parquet")


class WithoutParquet(InputsTestCase):

    def test_a_bertcram_without_it_says_where_to_get_it(self):
        (self.dir / "some.data").write_bytes(b"PAR1\x15" + bytes(1000) + b"PAR1")
        lonely = self.dir / "bertcram"  # beside it lies no library
        shutil.copy2(BINARY, lonely)
        result = subprocess.run([lonely, *map(str, self.command("out", self.dir / "some.data"))], capture_output=True)
        self.assertEqual(result.returncode, INPUT)
        self.assertIn(b"some.data: Parquet: this bertcram was built without it", result.stderr)
        self.assertIn(b"./scripts/setup.sh", result.stderr)


class SourceLists(InputsTestCase):

    def list(self, text, name="list.yaml"):
        path = self.dir / name
        path.write_text(text, "utf-8")
        return path

    def setUp(self):
        super().setUp()
        (self.dir / "books").mkdir()
        for name, blocks in {"wiki.txt": documents()[:150], "books/a.txt": documents()[150:]}.items():
            (self.dir / name).write_text("\n\n".join(blocks) + "\n", "utf-8")

    def test_weights_and_limits_decide_what_is_packed(self):
        lists = self.list("sources:\n  - path: wiki.txt\n    weight: 2\n  - path: books\n    max_documents: 40\n")
        first = self.pack("packed", lists).json
        self.assertEqual(first["documents_read"], 190)
        self.assertEqual(first["documents_train"] + first["documents_valid"], 190 + first["documents_repeated"])
        wiki, books = self.manifest("packed")["sources"]
        self.assertEqual((wiki["weight"], wiki["documents"]), (2, 150))
        self.assertEqual((books["max_documents"], books["documents"]), (40, 40))
        self.assertIn("already holds this result", self.pack("packed", lists).err)
        lists.write_text(lists.read_text().replace("weight: 2", "weight: 3"))
        self.assert_fails(self.bertcram(*self.command("packed", lists)), USAGE, "holds other data")
        self.assertEqual(self.manifest("packed")["sources"][0]["weight"], 2)
        self.assert_ok(self.bertcram("tokenize", "--input", lists, "--output", self.dir / "tokenizer", "--vocab-size", 200))

    def test_mistakes_are_told_with_line_and_nearest_key(self):
        lists = self.list("sources:\n  - path: wiki.txt\n    wieght: 2\n  - path: books\n    max_documents: -1\n")
        for command in (self.command("out", lists), ["tokenize", "--input", lists, "--output", self.dir / "out"]):
            self.assert_fails(self.bertcram(*command), USAGE, f"{lists}:3: unknown key 'wieght'; did you mean 'weight'",
                              f"{lists}:5: max_documents", lines=None)
            self.assert_no_output(self.dir / "out")
        self.assert_fails(self.bertcram(*self.command("out", self.list("sources:\n  - path: none/*.txt\n"))), INPUT,
                          "list.yaml", "none/*.txt")

    def test_a_file_that_is_reached_twice_is_read_once_and_warned_about(self):
        result = self.pack("packed", self.dir / "books", self.dir / "books" / "*.txt", self.dir / "wiki.txt")
        self.assertEqual(result.json["documents_read"], 250)
        self.assertRegex(result.err, r"W data: .*books/a.txt was named before")
        self.assertEqual(len(self.manifest("packed")["sources"]), 2)

    def test_a_long_window_of_zstd_is_read(self):
        if shutil.which("zstd") is None:
            self.skipTest("the program 'zstd' is not installed")
        packed = self.dir / "long.zst"
        with open(text_fixture(), "rb") as text, open(packed, "wb") as target:  # a pipe: the size is not known
            subprocess.run(["zstd", "--long=31", "-q", "-c", "-"], stdin=text, stdout=target, check=True)
        self.pack("text", text_fixture())
        self.assertEqual(self.pack("long", packed).json["documents_read"], 250)
        self.assertEqual(self.shards("long"), self.shards("text"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
