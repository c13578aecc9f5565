"""Bad tokenizers and vocabulary sizes of the kinds that SentencePiece trains: one helpful line each."""

import json
import shutil
import unittest

from support import DATA, INPUT, USAGE, E2ETestCase, flip_byte, must, text_fixture


class SubwordTokenizers(E2ETestCase):

    def tokenize(self, output, kind, vocab_size):
        return ["tokenize", "--type", kind, "--input", text_fixture(), "--output", output, "--vocab-size", vocab_size,
                "--threads", 1]

    def trained(self, kind="unigram"):
        must(*self.tokenize(self.dir / "tok", kind, 100))
        return self.dir / "tok"

    def pack(self, tokenizer):
        return self.bertcram("pack", "--input", text_fixture(), "--tokenizer", tokenizer, "--output", self.dir / "out",
                             "--seq-len", 32, "--valid-frac", 0, "--threads", 1)

    def encode(self, tokenizer):
        return self.bertcram("encode", "--tokenizer", tokenizer, stdin="the cat\n")

    def test_a_vocabulary_larger_than_the_text_allows(self):
        for kind in ("unigram", "bpe"):
            with self.subTest(kind=kind):
                result = self.bertcram(*self.tokenize(self.dir / "out", kind, 30000))
                message = self.assert_fails(result, USAGE, "30000", "--vocab-size", "more text")
                self.assertNotIn("trainer_interface", message, "the library's own words")
                self.assert_no_output(self.dir / "out")

    def test_a_vocabulary_smaller_than_the_alphabet(self):
        for kind in ("unigram", "bpe"):
            with self.subTest(kind=kind):
                self.assert_fails(self.bertcram(*self.tokenize(self.dir / "out", kind, 12)), USAGE, "12", "--vocab-size")
                self.assert_no_output(self.dir / "out")

    def test_a_model_without_special_tokens_is_refused_by_pack_alone(self):
        model = DATA / "vocab" / "sentencepiece_test_model.model"
        if not model.exists():
            reason = f"{model} is absent"
            print(f"SKIPPED {self.id()}: {reason}")
            self.skipTest(reason)
        self.assert_ok(self.encode(model))
        self.assert_fails(self.pack(model), INPUT, "sentencepiece_test_model.model", "[MASK]", "[PAD]")
        self.assert_no_output(self.dir / "out")

    def test_a_damaged_model_is_named(self):
        whole = (self.trained() / "spm.model").read_bytes()
        cut = self.dir / "cut.model"
        for size in (0, 1, len(whole) // 3, len(whole) // 2, len(whole) - 1000):
            cut.write_bytes(whole[:size])
            with self.subTest(size=size):
                self.assert_fails(self.encode(cut), INPUT, "cut.model")
        (self.dir / "text.model").write_text("This is a text.\n" * 20)
        self.assert_fails(self.encode(self.dir / "text.model"), INPUT, "text.model", "SentencePiece")

    def test_a_changed_file_in_a_tokenizer_folder_is_named(self):
        folder = self.trained("bpe")
        shutil.copytree(folder, self.dir / "copy")
        flip_byte(self.dir / "copy" / "spm.model", 3000)
        self.assert_fails(self.encode(self.dir / "copy"), INPUT, "spm.model")
        document = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
        document["model"]["merges"].pop()
        (folder / "tokenizer.json").write_text(json.dumps(document), encoding="utf-8")
        self.assert_fails(self.encode(folder), INPUT, "fingerprint")

    def test_a_feature_that_is_not_supported_is_named(self):
        document = json.loads((self.trained("bpe") / "tokenizer.json").read_text(encoding="utf-8"))
        path = self.dir / "tokenizer.json"
        for key, value in (("pre_tokenizer", "Digits"), ("normalizer", "NFKC"), ("model", "WordLevel")):
            path.write_text(json.dumps(document | {key: {"type": value}}), encoding="utf-8")
            with self.subTest(feature=value):
                self.assert_fails(self.encode(path), INPUT, "tokenizer.json", value)


if __name__ == "__main__":
    unittest.main(verbosity=2)
