"""What the tests against Hugging Face transformers share: its losses and predictions for our files.

Imports transformers, tokenizers, safetensors and torch (third_party's test requirements); the tests that use it run
under tests/tools/with_reference_python.py, which skips them where that Python is absent.
"""

import contextlib
import io
import json
import math
import os
import struct

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
import torch
import transformers

from support import E2ETestCase, make_tokenizer, must

transformers.utils.logging.disable_progress_bar()

TOLERANCE = 1e-5  # relative, fp32


# ---- the masking of src/data/masking.cpp, independently ------------------------------------------------------------------

U64 = (1 << 64) - 1


def mix64(x):
    x = (x + 0x9E3779B97F4A7C15) & U64
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & U64
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & U64
    return x ^ (x >> 31)


def mix_key(words):
    key = 0
    for word in words:
        key = mix64(key ^ word)
    return key


class RandomStream:
    def __init__(self, seed, purpose, words):
        self.key, self.counter = mix_key([seed, purpose]), 0
        for word in words:
            self.key = mix64(self.key ^ word)

    def next(self):
        self.counter += 1
        return mix64((self.key + 0xD1B54A32D192ED03 * self.counter) & U64)

    def below(self, bound):
        product = self.next() * bound
        if product & U64 < bound:
            threshold = ((1 << 64) - bound) % bound
            while product & U64 < threshold:
                product = self.next() * bound
        return product >> 64

    def uniform(self):
        return (self.next() >> 11) * 2.0 ** -53


MASKING = 1


def mask_row(ids, stream, special, mask_id, vocab_size, mask_prob=0.15, mask_share=0.8, random_share=0.1):
    """@return (corrupted ids, {position: original id})"""
    ordinary = [position for position, token in enumerate(ids) if token not in special]
    count = min(max(1, math.floor(mask_prob * len(ids) + 0.5)), len(ordinary))
    for i in range(count):
        j = i + stream.below(len(ordinary) - i)
        ordinary[i], ordinary[j] = ordinary[j], ordinary[i]
    corrupted, targets = list(ids), {}
    for position in sorted(ordinary[:count]):
        targets[position] = ids[position]
        choice = stream.uniform()
        if choice < mask_share:
            corrupted[position] = mask_id
        elif choice < mask_share + random_share:
            token = stream.below(vocab_size)
            while token in special:
                token = stream.below(vocab_size)
            corrupted[position] = token
    return corrupted, targets


def read_rows(packed, split):
    """All rows of a split; the shard's layout is in docs/formats.md."""
    manifest = json.loads((packed / "manifest.json").read_text())
    rows = []
    for shard in manifest["shards"]:
        if shard["split"] != split:
            continue
        content = (packed / shard["file"]).read_bytes()
        magic, version, width, seq_len, count = struct.unpack_from("<8sIIQQ", content)
        assert magic == b"BCSHARD\n" and version == 1 and count == shard["rows"]
        letter = {2: "H", 4: "I"}[width]
        for row in range(count):
            rows.append(list(struct.unpack_from(f"<{seq_len}{letter}", content, 64 + row * seq_len * width)))
    return manifest, rows


def masked_lm_scores(model, packed, seed=0, split="valid"):
    """What `bertcram eval` has to say about the same rows, computed by transformers."""
    manifest, rows = read_rows(packed, split)
    special_ids = manifest["special_ids"]
    loss = correct = count = 0
    with torch.no_grad():
        for number, row in enumerate(rows):
            stream = RandomStream(seed, MASKING, [0, number])
            ids, targets = mask_row(row, stream, set(special_ids.values()), special_ids["mask"], manifest["vocab_size"])
            logits = model(input_ids=torch.tensor([ids])).logits[0].double()
            for position, target in targets.items():
                loss += float(torch.logsumexp(logits[position], 0) - logits[position, target])
                correct += int(logits[position].argmax()) == target
                count += 1
    return {"loss": loss / count, "accuracy": correct / count, "masked_tokens": count}


def load(kind, folder):
    """A model that loads completely, in fp32 and evaluation mode; @raise AssertionError if keys are missing or left"""
    with contextlib.redirect_stderr(io.StringIO()):
        model, report = kind.from_pretrained(str(folder), output_loading_info=True, dtype=torch.float32,
                                             attn_implementation="eager")
    for key in ("missing_keys", "unexpected_keys", "mismatched_keys", "error_msgs"):
        assert not report.get(key), f"{kind.__name__}.from_pretrained({folder}): {key} {report[key]}"
    return model.eval()


def run_eval(*args):
    return must("eval", *args, "--precision", "fp32", "--device", "cpu", "--threads", 1, "--json").json


def classifier_accuracy(model, tokenizer_folder, task_file, max_length=32):
    """Accuracy on the dev file of make_task(), by label words, one example at a time. In percent."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(str(tokenizer_folder))
    lines = (task_file.parent / "dev.tsv").read_text().splitlines()[1:]
    correct = 0
    with torch.no_grad():
        for line in lines:
            text, label = line.split("\t")
            inputs = tokenizer(text, return_tensors="pt", truncation=True, max_length=max_length)
            correct += model.config.id2label[int(model(**inputs).logits[0].argmax())] == label
    return 100 * correct / len(lines)


class InteropTestCase(E2ETestCase):
    """With models of one family, "Bert" or "ModernBert"; subclasses run the same tests with the other."""
    family = "Bert"

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        torch.set_num_threads(1)

    @property
    def arch(self):
        """As bertcram calls the family."""
        return {"Bert": "bert", "ModernBert": "modern"}[self.family]

    def kind(self, head):
        return getattr(transformers, self.family + head)

    def save(self, head, name="model", seed=0, **config):
        """A small model of transformers with random weights, and our tokenizer beside it. @return folder, model"""
        torch.manual_seed(seed)
        settings = {"vocab_size": 200, "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
                    "intermediate_size": 128, "max_position_embeddings": 48, "initializer_range": 0.3, "pad_token_id": 0}
        if self.family == "ModernBert":
            settings |= {"bos_token_id": None, "eos_token_id": None, "cls_token_id": None, "sep_token_id": None,
                         "num_hidden_layers": 4, "local_attention": 8, "attn_implementation": "eager"}
        kind = self.kind(head)
        model = kind(kind.config_class(**{**settings, **config})).eval()
        with torch.no_grad():  # biases and norms that are not their neutral values
            for parameter in model.parameters():
                if parameter.dim() == 1:
                    parameter.add_(0.2 * torch.randn_like(parameter))
        folder = self.dir / name
        model.save_pretrained(str(folder), safe_serialization=True)
        transformers.AutoTokenizer.from_pretrained(str(make_tokenizer())).save_pretrained(str(folder))
        return folder, model

    def assert_same_scores(self, ours, theirs):
        self.assertEqual(ours["masked_tokens"], theirs["masked_tokens"])
        self.assertLessEqual(abs(ours["loss"] - theirs["loss"]), TOLERANCE * theirs["loss"], (ours, theirs))
        self.assertEqual(ours["accuracy"], theirs["accuracy"])
