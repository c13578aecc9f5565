"""Agreement with Hugging Face tokenizers: equal ids, folders that load in both directions."""

import json
import random
import shutil
import subprocess
import unittest

from interop import InteropTestCase, transformers
from support import DATA, make_tokenizer, must

ODD_TEXTS = [
    "", " ", "The cat sees the dog .", "Ünïcödé ça naïve Ångström", "e\u0301 combining, u\u0308ber", "ﬁne ﬂuﬀy ligatures",
    "日本語のテキスト and 中文字", "한국어 텍스트", "Ελληνικά ΣΊΣΥΦΟΣ σς", "русский ЁЖИК й", "עִבְרִית", "العَرَبِيَّة", "हिन्दी क्षत्रिय",
    "ไทยภาษา", "👍🏽 emoji 👨‍👩‍👧‍👦 🇩🇪", "zero\u200bwidth\u200djoiner\ufeffbom", "non\u00a0breaking\u2009thin\u3000ideographic",
    "soft\u00adhyphen", "tab\tand\x0bvertical\x0cform", "control\x01\x02\x7f chars", "\u0085next line", "İstanbul ıI", "ẞß STRASSE",
    "ǅ Ǆ ǆ", "①②③ ½ ¾ x²", "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𝕬", "\ufffd replacement", "\u2028line\u2029paragraph", "don't can't 'quoted' \"double\"",
    "a-b–c—d…e", "$100.00 €5 £3 +1=2 ^ ` ~ | < >", "x" * 101, "x" * 100, "a" * 99 + " b", "[CLS] [MASK] [SEP] [PAD] [UNK] [cls]",
    "the[MASK]cat", "[mask]", "[ MASK ]", "##ing ##", "http://example.org/a?b=c&d=e#f", "CamelCase snake_case",
    "\u202eright to left\u202c", "Ａ ｆｕｌｌｗｉｄｔｈ", "ﷺ", "\U000e0041tag", "\ue000private", "𠀀𪜶 rare ideographs", "々〇〆",
    "T\u0327h\u0335e c\u0336a\u0308t\u0323", "Đđ Łł Øø Ħħ", "ŉ ǰ ΐ", "\u1e9e\u0130\u0131", "٣٤٥ ४५६ ๓๔", "´`¨^˚", "᠎mongolian",
]


class Tokenizers(InteropTestCase):

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.lines = []
        for name in ("wiki.sample.txt.zst", "books.sample.txt.zst"):
            path = DATA / "corpus" / name
            if path.exists():
                shown = subprocess.run(["sh", "-c", f"zstd -dc --long=27 '{path}' 2>/dev/null | head -c 300000"],
                                       capture_output=True).stdout.decode("utf-8", "ignore")
                cls.lines += [line for line in shown.split("\n") if line.strip()][:150]

    def ids_by_bertcram(self, tokenizer, lines):
        text = "".join(line + "\n" for line in lines)
        out = must("encode", "--tokenizer", tokenizer, "--special", "--threads", 1, stdin=text).text
        return [[int(word) for word in line.split()] for line in out.split("\n")[:-1]]

    def assert_equal_ids(self, folder, lines):
        reference = transformers.AutoTokenizer.from_pretrained(str(folder))
        ours = self.ids_by_bertcram(folder, lines)
        self.assertEqual(len(ours), len(lines))
        for line, ids in zip(lines, ours):
            self.assertEqual(ids, reference(line)["input_ids"], repr(line))

    def sample_or_skip(self):
        if len(self.lines) < 300:
            reason = f"the sample corpora are not in {DATA} (BERTCRAM_DATA_DIR)"
            print(f"SKIPPED {self.id()}: {reason}")
            self.skipTest(reason)
        return self.lines

    def trained_on_samples(self, *options):
        source = self.dir / "sample.txt"
        source.write_text("\n".join(self.sample_or_skip()), encoding="utf-8")
        must("tokenize", "--input", source, "--output", self.dir / "tok", "--vocab-size", 1500, "--threads", 1, *options)
        return self.dir / "tok"

    def test_ids_of_real_lines_are_equal(self):
        self.assert_equal_ids(self.trained_on_samples(), self.lines)

    def test_ids_of_real_lines_are_equal_for_a_cased_tokenizer(self):
        self.assert_equal_ids(self.trained_on_samples("--cased"), self.lines)

    def test_ids_of_odd_unicode_are_equal(self):
        self.assert_equal_ids(make_tokenizer(), ODD_TEXTS)

    def test_ids_of_odd_unicode_are_equal_where_the_vocabulary_knows_it(self):
        source = self.dir / "odd.txt"
        source.write_text("\n".join(ODD_TEXTS * 3), encoding="utf-8")
        for options in ([], ["--cased"]):
            folder = self.dir / f"tok{len(options)}"
            must("tokenize", "--input", source, "--output", folder, "--vocab-size", 600, "--threads", 1, *options)
            with self.subTest(options=options):
                self.assert_equal_ids(folder, ODD_TEXTS)

    def test_ids_of_random_unicode_are_equal(self):
        rng = random.Random(11)
        planes = [(0x20, 0x7F), (0xA0, 0x250), (0x300, 0x370), (0x370, 0x590), (0x590, 0xE00), (0x1E00, 0x2070),
                  (0x20A0, 0x2200), (0x3000, 0x3100), (0x4E00, 0x4F00), (0xAC00, 0xAD00), (0xF900, 0xFFFE),
                  (0x1F300, 0x1F600), (0x20000, 0x20100)]
        lines = []
        for _ in range(300):
            line = "".join(chr(rng.randrange(*rng.choice(planes))) for _ in range(rng.randrange(1, 40)))
            lines.append("the " + line + " cat")
        self.assert_equal_ids(make_tokenizer(), lines)

    def test_a_published_vocabulary_gives_equal_ids(self):
        vocab = DATA / "vocab" / "bert-base-uncased-vocab.txt"
        if not vocab.exists():
            reason = f"{vocab} is absent"
            print(f"SKIPPED {self.id()}: {reason}")
            self.skipTest(reason)
        (self.dir / "hf").mkdir()
        (self.dir / "hf" / "vocab.txt").write_bytes(vocab.read_bytes())
        (self.dir / "hf" / "tokenizer_config.json").write_text(
            json.dumps({"tokenizer_class": "BertTokenizer", "do_lower_case": True, "model_max_length": 512}))
        reference = transformers.AutoTokenizer.from_pretrained(str(self.dir / "hf"))
        lines = self.lines + ODD_TEXTS
        for line, ids in zip(lines, self.ids_by_bertcram(self.dir / "hf", lines)):
            self.assertEqual(ids, reference(line)["input_ids"], repr(line))

    def test_tokens_added_beside_a_vocab_txt_give_equal_ids(self):
        folder = self.dir / "hf"
        lines = ["a[E1]b", "a[e1]", "a<ent>b", "a<ENT>b", "a [MASK][mask]", "word words"]
        decoder = {"10": {"content": "<ent>", "normalized": False, "special": False},
                   "14": {"content": "[E1]", "normalized": False, "special": True}}
        for files in ({"tokenizer_config": {"added_tokens_decoder": decoder}},
                      {"tokenizer_config": {"added_tokens_decoder": decoder, "mask_token": "[MASK]"},
                       "special_tokens_map": {"mask_token": "[mask]"}, "added_tokens": {"word": 16}},
                      {"tokenizer_config": {"additional_special_tokens": ["[E1]", "word"]}},
                      {"tokenizer_config": {"extra_special_tokens": ["[E1]"]}, "added_tokens": {"[E1]": 14}},
                      {"tokenizer_config": {"bos_token": "[E1]", "foo_token": "<ent>"}},
                      {"tokenizer_config": {"mask_token": "[MASK]"},
                       "special_tokens_map": {"mask_token": "[mask]", "additional_special_tokens": ["[E1]"]}}):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            (folder / "vocab.txt").write_text("\n".join(
                "[PAD] [UNK] [CLS] [SEP] [MASK] a b < ent > <ent> [ e1 ] [E1] [mask] word ##s mask".split()) + "\n")
            for name, content in files.items():
                (folder / f"{name}.json").write_text(json.dumps({"tokenizer_class": "BertTokenizer"} | content
                                                                if name == "tokenizer_config" else content))
            with self.subTest(files=files):
                self.assert_equal_ids(folder, lines)

    def test_the_special_tokens_are_known(self):
        reference = transformers.AutoTokenizer.from_pretrained(str(make_tokenizer()))
        self.assertEqual([reference.pad_token, reference.unk_token, reference.cls_token, reference.sep_token,
                          reference.mask_token], ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"])
        self.assertEqual(len(reference), 200)

    def test_pairs_have_the_second_segment(self):
        reference = transformers.AutoTokenizer.from_pretrained(str(make_tokenizer()))
        encoded = reference("the cat", "the dog")
        first = self.ids_by_bertcram(make_tokenizer(), ["the cat"])[0]
        second = self.ids_by_bertcram(make_tokenizer(), ["the dog"])[0][1:]
        self.assertEqual(encoded["input_ids"], first + second)
        self.assertEqual(encoded["token_type_ids"], [0] * len(first) + [1] * len(second))

    def test_ids_of_unigram_and_bpe_tokenizers_are_equal(self):
        for kind in ("unigram", "bpe"):
            for options in ([], ["--cased"]):
                with self.subTest(kind=kind, options=options):
                    folder = self.trained_on_samples("--type", kind, "--overwrite", *options)
                    self.assert_equal_ids(folder, self.lines + ODD_TEXTS)

    def test_a_unigram_tokenizer_saved_by_transformers_loads_here(self):
        folder = self.trained_on_samples("--type", "unigram")
        transformers.AutoTokenizer.from_pretrained(str(folder)).save_pretrained(str(self.dir / "saved"))
        self.assertEqual(self.ids_by_bertcram(self.dir / "saved", ODD_TEXTS), self.ids_by_bertcram(folder, ODD_TEXTS))

    def test_a_sentencepiece_model_gives_the_reference_ids(self):
        model = DATA / "vocab" / "sentencepiece_test_model.model"
        goldens = DATA / "vocab" / "goldens_sentencepiece_test_model.jsonl"
        if not goldens.exists():
            reason = f"{goldens} is absent"
            print(f"SKIPPED {self.id()}: {reason}")
            self.skipTest(reason)
        records = [json.loads(line) for line in goldens.read_text(encoding="utf-8").split("\n") if line]
        records = [record for record in records if "\n" not in record["text"]]
        text = "".join(record["text"] + "\n" for record in records)
        out = must("encode", "--tokenizer", model, stdin=text).text
        self.assertEqual([[int(word) for word in line.split()] for line in out.split("\n")[:-1]],
                         [record["ids"] for record in records])

    def test_a_tokenizer_saved_by_transformers_loads_here(self):
        reference = transformers.AutoTokenizer.from_pretrained(str(make_tokenizer()))
        reference.save_pretrained(str(self.dir / "saved"))
        self.assertEqual(self.ids_by_bertcram(self.dir / "saved", ODD_TEXTS),
                         self.ids_by_bertcram(make_tokenizer(), ODD_TEXTS))


if __name__ == "__main__":
    unittest.main(verbosity=2)
