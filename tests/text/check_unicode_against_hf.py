#!/usr/bin/env python3
"""Compares `bertcram encode` with Hugging Face `tokenizers`, character by character.

    python check_unicode_against_hf.py --bertcram build/bertcram [--vocab vocab.txt]… [--texts goldens.jsonl] [--strings 30000] [--seed 1]

The vocabulary made here holds each code point of code_points.py twice (as itself and behind "##"), so that ids show exactly what the
normaliser and the pre-tokeniser made of a text. Checked with it, uncased and cased: each code point between two letters,
and random strings with combining sequences. With --vocab the random strings are checked with that vocabulary too, with
--texts also the "text" fields of a file of JSON lines.
Exit code 0: no difference. Needs the Python package `tokenizers` (the project's tables agree with 0.23.3).
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
from code_points import CODE_POINTS
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def write_alphabet_vocab(path):
    chars = [chr(c) for c in CODE_POINTS if c != 0 and not chr(c).isspace()]
    tokens = SPECIALS + chars + ["##" + c for c in chars]
    path.write_bytes("".join(token + "\n" for token in tokens).encode("utf-8"))


def peer_tokenizer(vocab_path, uncased):
    lines = vocab_path.read_bytes().decode("utf-8").split("\n")
    tokens = [line.removesuffix("\r") for line in (lines[:-1] if lines[-1] == "" else lines)]
    vocab = {token: i for i, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.WordPiece(vocab, unk_token="[UNK]", max_input_chars_per_word=100))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=uncased)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.add_special_tokens(SPECIALS)
    return tokenizer


def own_ids(bertcram, vocab_path, uncased, texts):
    command = [bertcram, "encode", "--tokenizer", str(vocab_path)] + ([] if uncased else ["--cased"])
    text = "".join(t + "\n" for t in texts).encode("utf-8")
    done = subprocess.run(command, input=text, stdout=subprocess.PIPE, check=True)
    lines = done.stdout.decode("ascii").split("\n")
    if len(lines) != len(texts) + 1:
        sys.exit(f"bertcram gave {len(lines) - 1} lines for {len(texts)} texts")
    return [[int(i) for i in line.split()] for line in lines[:-1]]


def character_pools():
    classes = {}
    for c in CODE_POINTS:
        classes.setdefault(unicodedata.category(chr(c)), []).append(c)
    nonstarters = [c for c in CODE_POINTS if unicodedata.combining(chr(c))]
    decomposable = [c for c in CODE_POINTS if unicodedata.normalize("NFD", chr(c)) != chr(c)]
    spacing_nonstarters = [c for c in nonstarters if unicodedata.category(chr(c)) != "Mn"]
    young_marks = [*range(0x0898, 0x08A0), *range(0x1ABF, 0x1ACF), *range(0x1DF6, 0x1DFC), 0x10F46, 0x10F4B, 0x1E4EC]
    return [
        list(range(0x20, 0x7F)), list(range(0x61, 0x7B)), list(range(0x0, 0x250)), [0x20], [0x20, 0x9, 0xA0, 0x3000],
        nonstarters, spacing_nonstarters, spacing_nonstarters + young_marks, decomposable, classes["Mn"], classes["Mc"],
        classes["Me"], classes["Cf"] + classes["Cc"], classes["Lu"], list(range(0x1100, 0x1200)),
        list(range(0xAC00, 0xD7A4)), list(range(0x4E00, 0x9FFF)) + list(range(0xF900, 0xFB00)),
        list(range(0x3040, 0x3100)), list(range(0x1D150, 0x1D1C1)), list(range(0x900, 0xE00)),
        list(range(0x1F300, 0x1FB00)), classes["Po"] + classes["Ps"] + classes["Pd"], CODE_POINTS,
    ]


def random_texts(count, seed):
    rng = random.Random(seed)
    pools = character_pools()
    texts = []
    for _ in range(count):
        chosen = rng.sample(pools, rng.randint(1, 4))
        length = rng.randint(80, 260) if rng.random() < 0.02 else rng.randint(1, 24)
        text = "".join(chr(rng.choice(rng.choice(chosen))) for _ in range(length))
        if rng.random() < 0.05:
            at = rng.randint(0, len(text))
            text = text[:at] + rng.choice(SPECIALS + ["[MASK", "[[CLS]]", "[mask]"]) + text[at:]
        texts.append(text.replace("\n", " ").replace("\r", "\t"))  # a line must stay one
    return texts


def texts_of(path):
    texts = [json.loads(line)["text"] for line in path.read_text("utf-8").split("\n") if line]
    return [text.replace("\n", " ").replace("\r", " ") for text in texts]


def compare(name, bertcram, vocab_path, uncased, texts):
    encodings = peer_tokenizer(vocab_path, uncased).encode_batch(texts, add_special_tokens=False)
    expected = [e.ids for e in encodings]
    got = own_ids(bertcram, vocab_path, uncased, texts)
    wrong = [i for i in range(len(texts)) if expected[i] != got[i]]
    print(f"{name}, {'uncased' if uncased else 'cased'}: {len(texts)} texts, {len(wrong)} differ")
    for i in wrong[:10]:
        print(f"  {ascii(texts[i])}\n    expected {expected[i]}\n    got      {got[i]}")
    return len(wrong)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bertcram", required=True)
    parser.add_argument("--vocab", type=Path, action="append", default=[])
    parser.add_argument("--texts", type=Path)
    parser.add_argument("--strings", type=int, default=30_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    print(f"tokenizers {tokenizers.__version__}, seed {arguments.seed}")
    single = [f"a{chr(c)}b" for c in CODE_POINTS if chr(c) not in "\n\r"]
    texts = random_texts(arguments.strings, arguments.seed)
    wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        alphabet = Path(folder) / "vocab.txt"
        write_alphabet_vocab(alphabet)
        for uncased in (True, False):
            wrong += compare("each code point", arguments.bertcram, alphabet, uncased, single)
            wrong += compare("random strings", arguments.bertcram, alphabet, uncased, texts)
            for vocab in arguments.vocab:
                wrong += compare(f"random strings, {vocab.name}", arguments.bertcram, vocab, uncased, texts)
                if arguments.texts:
                    name = f"{arguments.texts.name}, {vocab.name}"
                    wrong += compare(name, arguments.bertcram, vocab, uncased, texts_of(arguments.texts))
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
