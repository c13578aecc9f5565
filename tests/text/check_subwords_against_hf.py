#!/usr/bin/env python3
"""Compares bertcram's unigram and BPE tokenizers with Hugging Face, and with the SentencePiece library's own ids.

    python check_subwords_against_hf.py --bertcram build/bertcram --text corpus.txt[.zst]… [--lines 2000] [--strings 10000]

Trained here, unigram and BPE, uncased and cased: `bertcram encode` against `AutoTokenizer.from_pretrained(folder)` on
real lines and on random Unicode strings: no id may differ. Beside it, as a count only, the same lines with the spm.model
in the folder, which goes through the SentencePiece library: its normaliser takes the longest match where Hugging Face's
takes the shortest within a user-perceived character, and it adds scores in float32.
Then tokenizer.json files of the shapes that known models have, made with `tokenizers`: no id may differ either.
Exit code 0: no difference. Needs the Python packages `tokenizers` and `transformers`.
"""
import argparse
import json
import random
import subprocess
import sys
import tempfile
import unicodedata
from pathlib import Path

import tokenizers
import transformers
from code_points import CODE_POINTS
from tokenizers import (AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors,
                        trainers)

ODD_TEXTS = [
    "", " ", "  two  spaces ", "e\u0301E\u0301 combining", "ﬁne ﬂuﬀy", "カ\u3099ｶﾞ ﾊﾟ", "한국어 \u1112\u1161\u11ab", "½ ① x²",
    "Ａ ｆｕｌｌｗｉｄｔｈ ［ＭＡＳＫ］", "[MASK] the[MASK]cat [CLS] [SEP] [PAD] [UNK] [mask] [ MASK ]", "▁under▁bar ▁", "zero\u200bwidth\u200d",
    "\u0085next\u2028line", "tab\tand\x0bvertical", "hhhhhhhhhhhh -------- ........", "<s> </s> <mask> <pad> <0x41>", "\ufeffbom",
    "İstanbul ß ẞ ΣΊΣΥΦΟΣ", "👍🏽 👨‍👩‍👧 🇩🇪", "\ufffd", "नमस्ते क्षत्रिय", "٣٤٥ \u0600\u0661", "a\u0300\u0301b A\u0300\u0301B", "\u1e9b\u0323",
]


def read_lines(path, count):
    if path.suffix == ".zst":
        command = ["sh", "-c", f"zstd -dcq --long=27 '{path}' 2>/dev/null | head -c {400 * count}"]
        content = subprocess.run(command, capture_output=True).stdout
    else:
        content = path.read_bytes()[:400 * count]
    return [line.strip() for line in content.decode("utf-8", "ignore").split("\n")[:-1] if line.strip()][:count]


def random_strings(count, seed):
    rng = random.Random(seed)
    every = [c for c in range(0x20, 0x110000) if not 0xD800 <= c < 0xE000 and chr(c) not in "\x85\u2028\u2029"]
    marks = [c for c in every if unicodedata.combining(chr(c))]
    mapped = [c for c in every if unicodedata.normalize("NFKC", chr(c)) != chr(c)]
    pools = [list(range(0x20, 0x7F)), list(range(0x61, 0x7B)), [0x20], marks, mapped, list(range(0xA0, 0x600)),
             list(range(0x600, 0x606)) + [0x6DD, 0x70F, 0x8E2], list(range(0x1100, 0x1200)), list(range(0x3040, 0x3100)),
             list(range(0xFF00, 0xFFEF)), list(range(0x300, 0x370)), list(range(0x900, 0xE00)), every,
             [0x9, 0xA0, 0x2003, 0x3000, 0x200B, 0x200D, 0x2581, 0xFE0F, 0xFEFF]]
    strings = []
    for _ in range(count):
        chosen = rng.sample(pools, rng.randint(1, 4))
        strings.append("".join(chr(rng.choice(rng.choice(chosen))) for _ in range(rng.randint(1, 24))))
    return strings


class Checker:

    def __init__(self, bertcram):
        self.bertcram = bertcram
        self.failures = 0

    def run(self, *arguments, text=""):
        done = subprocess.run([self.bertcram, *map(str, arguments)], input=text.encode("utf-8"), stdout=subprocess.PIPE)
        if done.returncode != 0:
            sys.exit(f"bertcram {' '.join(map(str, arguments))} ended with {done.returncode}")
        return done.stdout.decode("ascii", "replace")

    def own_ids(self, tokenizer, texts, *options):
        out = self.run("encode", "--tokenizer", tokenizer, *options, text="".join(t + "\n" for t in texts))
        lines = out.split("\n")
        if len(lines) != len(texts) + 1:
            sys.exit(f"bertcram gave {len(lines) - 1} lines for {len(texts)} texts")
        return [[int(i) for i in line.split()] for line in lines[:-1]]

    def compare(self, name, texts, expected, got, must_agree=True):
        wrong = [i for i in range(len(texts)) if expected[i] != got[i]]
        print(f"{name}: {len(texts)} texts, {sum(map(len, expected))} ids, {len(wrong)} texts differ"
              + ("" if must_agree else " (counted only)"))
        for i in wrong[:5 if must_agree else 0]:
            print(f"  {ascii(texts[i])}\n    expected {expected[i]}\n    got      {got[i]}")
        self.failures += len(wrong) if must_agree else 0

    def trained(self, folder, sources, groups):
        for kind in ("unigram", "bpe"):
            for casing in ([], ["--cased"]):
                tokenizer = folder / f"{kind}{''.join(casing)}"
                self.run("tokenize", "--type", kind, "--input", *sources, "--output", tokenizer, "--vocab-size", 4000,
                         *casing)
                reference = transformers.AutoTokenizer.from_pretrained(str(tokenizer))
                for name, texts in groups.items():
                    expected = reference(texts)["input_ids"]
                    self.compare(f"{kind} {' '.join(casing)} {name}", texts, expected,
                                 self.own_ids(tokenizer, texts, "--special"))
                    plain = [ids[1:-1] for ids in expected]
                    self.compare(f"{kind} {' '.join(casing)} {name}, library", texts, plain,
                                 self.own_ids(tokenizer / "spm.model", texts), must_agree=False)

    def shapes(self, folder, trained, groups):
        """The pipelines of T5, XLM-R, ALBERT-like and Llama-like tokenizers over a model trained here."""
        precompiled = next(step for step in json.loads((trained / "tokenizer.json").read_text())["normalizer"]["normalizers"]
                           if step["type"] == "Precompiled")
        runs = {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "}
        metaspace = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}
        shapes = {
            "t5": ({"type": "Sequence", "normalizers": [precompiled, {"type": "Strip", "strip_left": False, "strip_right": True},
                                                        runs | {"content": "▁"}]}, metaspace, {}),
            "xlm-r": ({"type": "Sequence", "normalizers": [precompiled, runs]}, metaspace, {"lstrip": True, "normalized": True}),
            "xlm-r, older": (precompiled, {"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"}, metaspace]},
                             {"lstrip": True}),
            "albert": ({"type": "Sequence", "normalizers": [
                {"type": "Replace", "pattern": {"String": "``"}, "content": '"'}, {"type": "Lowercase"}, precompiled, runs]},
                metaspace, {"lstrip": True, "rstrip": True}),
            "llama": ({"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"}, {
                "type": "Replace", "pattern": {"String": " "}, "content": "▁"}]}, None, {}),
            "first": (None, metaspace | {"prepend_scheme": "first"}, {}),
            "never, whole": (None, metaspace | {"prepend_scheme": "never", "split": False}, {"rstrip": True}),
        }
        for name, (normalizer, pre_tokenizer, flags) in shapes.items():
            document = json.loads((trained / "tokenizer.json").read_text())
            document["normalizer"] = normalizer
            document["pre_tokenizer"] = pre_tokenizer
            for token in document["added_tokens"]:
                token.update(flags if token["content"] == "[MASK]" else {})
            path = folder / "shape" / "tokenizer.json"
            path.parent.mkdir(exist_ok=True)
            path.write_text(json.dumps(document), encoding="utf-8")
            reference = Tokenizer.from_file(str(path))
            for group, texts in groups.items():
                expected = [e.ids for e in reference.encode_batch(texts, add_special_tokens=False)]
                self.compare(f"{trained.name} as {name}, {group}", texts, expected, self.own_ids(path, texts))


    def byte_level(self, folder, lines, groups):
        """The pipelines of ModernBERT (NFC, no space in front, runs of spaces as tokens) and RoBERTa."""
        for name, normalizer, prefix in (("modernbert", normalizers.NFC(), False), ("roberta", None, True)):
            reference = Tokenizer(models.BPE())
            reference.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=prefix)
            if normalizer:
                reference.normalizer = normalizer
            specials = ["[UNK]", "[CLS]", "[SEP]", "[PAD]"]
            reference.train_from_iterator(lines, trainers.BpeTrainer(
                vocab_size=4000, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), special_tokens=specials,
                show_progress=False))
            reference.add_tokens([AddedToken(" " * count, normalized=True) for count in range(2, 9)])
            reference.add_special_tokens([AddedToken("[MASK]", lstrip=True, normalized=False)])
            reference.decoder = decoders.ByteLevel()
            reference.post_processor = processors.TemplateProcessing(
                single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1",
                special_tokens=[(token, reference.token_to_id(token)) for token in ("[CLS]", "[SEP]")])
            path = folder / name
            transformers.PreTrainedTokenizerFast(
                tokenizer_object=reference, unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]", pad_token="[PAD]",
                mask_token="[MASK]").save_pretrained(str(path))
            for group, texts in groups.items():
                expected = [e.ids for e in reference.encode_batch(texts)]
                self.compare(f"byte-level as {name}, {group}", texts, expected, self.own_ids(path, texts, "--special"))

    def every_character(self, folder):
        """Each code point beside a letter, a digit, a space and a sign: into which class does the regular expression put it?"""
        every = [chr(c) for c in CODE_POINTS if chr(c) not in "\0\n\r"]
        texts = ["a" + c + "1" + c + " " + c + "!" + c for c in every]
        reference = Tokenizer.from_file(str(folder / "roberta" / "tokenizer.json"))
        expected = [e.ids for e in reference.encode_batch(texts, add_special_tokens=False)]
        self.compare("byte-level, each code point", texts, expected, self.own_ids(folder / "roberta", texts))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bertcram", required=True)
    parser.add_argument("--text", type=Path, action="append", required=True)
    parser.add_argument("--lines", type=int, default=2000, help="of each text")
    parser.add_argument("--strings", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    print(f"tokenizers {tokenizers.__version__}, transformers {transformers.__version__}, seed {arguments.seed}")
    lines = [line for path in arguments.text for line in read_lines(path, arguments.lines)]
    groups = {"real lines": lines, "odd texts": ODD_TEXTS, "random strings": random_strings(arguments.strings, arguments.seed)}
    groups = {name: [text.replace("\r", "\t") for text in texts] for name, texts in groups.items()}
    checker = Checker(arguments.bertcram)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "text.txt").write_text("\n".join(lines), encoding="utf-8")
        checker.trained(folder, [folder / "text.txt"], groups)
        for kind in ("unigram", "bpe"):
            checker.shapes(folder, folder / kind, groups)
        checker.byte_level(folder, lines, groups)
        checker.every_character(folder)
    sys.exit(1 if checker.failures else 0)


if __name__ == "__main__":
    main()
