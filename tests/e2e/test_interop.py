"""Agreement with Hugging Face transformers: the same ids, the same loss, the same predictions, folders that load.

Needs transformers, tokenizers, safetensors and torch (third_party's test requirements): run by the python that
BERTCRAM_TEST_PYTHON names. Without them everything is skipped and the reason printed (exit code 77 as a script).
"""

import contextlib
import io
import json
import math
import os
import pathlib
import random
import struct
import subprocess
import sys
import unittest

try:
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    import safetensors
    import safetensors.torch
    import torch
    import transformers
    transformers.utils.logging.disable_progress_bar()
    MISSING = None
except ImportError as error:
    MISSING = f"{error}; name a python with the test requirements in BERTCRAM_TEST_PYTHON"

if __name__ == "__main__" and MISSING:
    wanted = os.environ.get("BERTCRAM_TEST_PYTHON")
    if wanted and pathlib.Path(wanted).absolute() != pathlib.Path(sys.executable).absolute():
        os.execv(wanted, [wanted, *sys.argv])
    print(f"SKIPPED test_interop: {MISSING}")
    sys.exit(77)

from support import (BINARY, DATA, E2ETestCase, bertcram, finetune_args, make_model, make_packed, make_task, make_tokenizer, must,
                     pretrain_args, text_fixture)

TOLERANCE = 1e-5  # relative, fp32
DUMP_LOGITS = pathlib.Path(os.environ.get("BERTCRAM_DUMP_LOGITS", BINARY.parent / "dump_logits"))

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


@unittest.skipIf(MISSING, MISSING or "")
class InteropTestCase(E2ETestCase):

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        torch.set_num_threads(1)

    def assert_same_scores(self, ours, theirs):
        self.assertEqual(ours["masked_tokens"], theirs["masked_tokens"])
        self.assertLessEqual(abs(ours["loss"] - theirs["loss"]), TOLERANCE * theirs["loss"], (ours, theirs))
        self.assertEqual(ours["accuracy"], theirs["accuracy"])


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

    def test_a_tokenizer_saved_by_transformers_loads_here(self):
        reference = transformers.AutoTokenizer.from_pretrained(str(make_tokenizer()))
        reference.save_pretrained(str(self.dir / "saved"))
        self.assertEqual(self.ids_by_bertcram(self.dir / "saved", ODD_TEXTS),
                         self.ids_by_bertcram(make_tokenizer(), ODD_TEXTS))


class Masking(InteropTestCase):

    def test_the_random_stream_is_the_one_that_runs_rely_on(self):
        # The numbers of tests/util/random_test.cpp; if this fails, the losses below cannot agree.
        stream = RandomStream(2024, MASKING, [3, 4])
        self.assertEqual(stream.next(), 0x28B01CCC7D2D1A1A)
        self.assertEqual(stream.below(30522), 19036)


class OurModels(InteropTestCase):
    """What bertcram wrote, read by transformers."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.run_folder = make_packed().parent / "interop-run"
        if not cls.run_folder.exists():
            must(*pretrain_args(make_packed(), cls.run_folder, 60, model__layers=2, model__init_std=0.1,
                                optim__learning_rate=0.01))
        cls.model = cls.run_folder / "model"

    def test_a_pretrained_model_loads_with_nothing_missing_or_left(self):
        load(transformers.BertForMaskedLM, self.model)
        load(transformers.AutoModelForMaskedLM, self.model)

    def test_the_weights_file_says_what_it_is(self):
        with safetensors.safe_open(str(self.model / "model.safetensors"), "pt") as file:
            self.assertEqual(file.metadata(), {"format": "pt"})
            self.assertIn("bert.embeddings.word_embeddings.weight", file.keys())
            self.assertEqual({file.get_tensor(key).dtype for key in file.keys()}, {torch.float32})

    def test_the_held_out_loss_is_the_one_of_transformers(self):
        model = load(transformers.BertForMaskedLM, self.model)
        theirs = masked_lm_scores(model, make_packed())
        self.assert_same_scores(run_eval("--model", self.model, "--data", make_packed()), theirs)
        self.assertLess(theirs["loss"], math.log(200))

    def logits_of(self, folder, ids, types, lengths):
        """bertcram's, by the test tool dump_logits, and those of transformers, on what is no padding."""
        file = self.dir / "in.safetensors"
        safetensors.torch.save_file({"ids": ids, "token_types": types, "lengths": lengths}, str(file))
        subprocess.run([DUMP_LOGITS, folder, file, self.dir / "out.safetensors"], check=True)
        ours = safetensors.torch.load_file(str(self.dir / "out.safetensors"))["logits"]
        kind = json.loads((folder / "config.json").read_text())["architectures"][0]
        mask = torch.arange(ids.shape[1])[None] < lengths[:, None]
        with torch.no_grad():
            theirs = load(getattr(transformers, kind), folder)(input_ids=ids, token_type_ids=types,
                                                               attention_mask=mask.long()).logits
        return (ours[mask], theirs[mask]) if ours.dim() == 3 else (ours, theirs)

    def test_the_logits_of_our_folders_are_those_of_transformers(self):
        task = make_task(self.dir / "task")
        must(*finetune_args(task, self.model, self.dir / "out", 1, "--save-models", "--learning-rate", "1e-2"))
        generator = torch.Generator().manual_seed(5)
        lengths = torch.tensor([32, 7, 19, 1])
        ids = torch.randint(5, 200, (4, 32), generator=generator)
        types = torch.randint(0, 2, (4, 32), generator=generator)
        for folder in (self.model, self.dir / "out" / "pets-seed0"):
            with self.subTest(folder=folder.name):
                ours, theirs = self.logits_of(folder, ids, types, lengths)
                self.assertGreater(theirs.abs().max().item(), 0.1)
                self.assertLess(((ours - theirs).abs().max() / theirs.abs().max()).item(), TOLERANCE)

    def test_a_text_that_is_too_long_is_cut_to_what_the_model_takes(self):
        tokenizer = transformers.AutoTokenizer.from_pretrained(str(self.model))
        model = load(transformers.BertForMaskedLM, self.model)
        encoded = tokenizer("the cat sees the dog . " * 100, truncation=True, return_tensors="pt")
        self.assertEqual(encoded["input_ids"].shape[1], model.config.max_position_embeddings)
        model(**encoded)

    def test_the_held_out_loss_of_another_masking_seed(self):
        model = load(transformers.BertForMaskedLM, self.model)
        ours = run_eval("--model", self.model, "--data", make_packed(), "--seed", 12345)
        self.assert_same_scores(ours, masked_lm_scores(model, make_packed(), seed=12345))
        self.assertNotEqual(ours["loss"], run_eval("--model", self.model, "--data", make_packed())["loss"])

    def test_the_number_of_rows_per_pass_changes_nothing(self):
        scores = [run_eval("--model", self.model, "--data", make_packed(), "--micro-rows", rows) for rows in (1, 7, 64)]
        for other in scores[1:]:
            self.assert_same_scores(scores[0], other)

    def test_the_tokenizer_in_the_model_folder_loads(self):
        reference = transformers.AutoTokenizer.from_pretrained(str(self.model))
        self.assertEqual(reference("the cat")["input_ids"],
                         transformers.AutoTokenizer.from_pretrained(str(make_tokenizer()))("the cat")["input_ids"])

    def test_a_fine_tuned_model_loads_with_its_labels(self):
        task = make_task(self.dir / "task", train_rows=200)
        result = must(*finetune_args(task, self.model, self.dir / "out", 1, "--save-models", "--json")).json
        (folder,) = {path.parent for path in (self.dir / "out").rglob("model.safetensors")}
        model = load(transformers.BertForSequenceClassification, folder)
        self.assertEqual(model.config.id2label, {0: "cats", 1: "dogs"})
        self.assertEqual(model.config.label2id, {"cats": 0, "dogs": 1})
        accuracy = classifier_accuracy(model, folder, task)
        self.assertAlmostEqual(accuracy, run_eval("--model", folder, "--task-file", task)["accuracy"], places=9)
        self.assertAlmostEqual(accuracy, result["tasks"]["pets"]["seeds"][0]["metrics"]["accuracy"], places=9)


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


class TheirModels(InteropTestCase):
    """What transformers wrote, read by bertcram."""

    def save(self, kind, name="model", seed=0, **config):
        torch.manual_seed(seed)
        settings = {"vocab_size": 200, "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
                    "intermediate_size": 128, "max_position_embeddings": 48, "initializer_range": 0.3, **config}
        model = kind(transformers.BertConfig(**settings)).eval()
        with torch.no_grad():  # biases and norms that are not their neutral values
            for parameter in model.parameters():
                if parameter.dim() == 1:
                    parameter.add_(0.2 * torch.randn_like(parameter))
        folder = self.dir / name
        model.save_pretrained(str(folder), safe_serialization=True)
        transformers.AutoTokenizer.from_pretrained(str(make_tokenizer())).save_pretrained(str(folder))
        return folder, model

    def packed_by(self, folder):
        """bertcram's own packing with the tokenizer of that folder."""
        must("pack", "--input", text_fixture(), "--tokenizer", folder, "--output", self.dir / "packed", "--seq-len", 32,
             "--valid-frac", 0.1, "--threads", 1)
        return self.dir / "packed"

    def check_masked_lm(self, **config):
        folder, _ = self.save(transformers.BertForMaskedLM, **config)
        packed = self.packed_by(folder)
        theirs = masked_lm_scores(load(transformers.BertForMaskedLM, folder), packed)
        self.assert_same_scores(run_eval("--model", folder, "--data", packed), theirs)

    def test_a_random_masked_lm_has_the_same_loss(self):
        self.check_masked_lm()

    def test_another_epsilon_of_the_layer_norms(self):
        self.check_masked_lm(layer_norm_eps=1e-3)

    def test_more_embeddings_than_pieces(self):
        self.check_masked_lm(vocab_size=256)

    def test_unlike_settings_are_computed_or_refused_but_never_ignored(self):
        """A config that this program cannot honour must not give other numbers in silence."""
        for config in ({"hidden_act": "relu"}, {"hidden_act": "gelu_new"}, {"tie_word_embeddings": False},
                       {"position_embedding_type": "relative_key"}, {"is_decoder": True}):
            with self.subTest(**config):
                name = "-".join(map(str, *config.items()))
                folder, _ = self.save(transformers.BertForMaskedLM, name=name, **config)
                stored = json.loads((folder / "config.json").read_text())
                stored.update(config)  # newer versions of transformers drop some keys
                (folder / "config.json").write_text(json.dumps(stored))
                result = bertcram("eval", "--model", folder, "--text", text_fixture(), "--rows", 4, "--threads", 1,
                                  "--precision", "fp32", "--json")
                key = next(iter(config))
                if result.code != 0:
                    self.assert_fails(result, 3, key)
                    continue
                packed = self.dir / f"packed-{name}"
                must("pack", "--input", text_fixture(), "--tokenizer", folder, "--output", packed, "--seq-len", 32,
                     "--valid-frac", 0.1)
                model = load(transformers.BertForMaskedLM, folder)
                self.assert_same_scores(run_eval("--model", folder, "--data", packed), masked_lm_scores(model, packed))

    def check_classifier(self, id2label):
        labels = {"id2label": id2label, "label2id": {word: number for number, word in id2label.items()}}
        folder, _ = self.save(transformers.BertForSequenceClassification, **labels)
        task = make_task(self.dir / "task", dev_rows=80)
        theirs = classifier_accuracy(load(transformers.BertForSequenceClassification, folder), folder, task)
        self.assertTrue(5 < theirs < 95, f"accuracy {theirs} shows little")
        self.assertNotEqual(theirs, 50)
        self.assertAlmostEqual(run_eval("--model", folder, "--task-file", task)["accuracy"], theirs, places=9)

    def test_a_classifier_has_the_same_accuracy(self):
        self.check_classifier({0: "cats", 1: "dogs"})

    def test_a_classifier_whose_labels_stand_in_another_order(self):
        self.check_classifier({0: "dogs", 1: "cats"})

    def test_the_names_of_layer_norms_from_tensorflow(self):  # as in the published bert-base-uncased
        folder, _ = self.save(transformers.BertForMaskedLM)
        before = run_eval("--model", folder, "--text", text_fixture(), "--rows", 4)
        weights = safetensors.torch.load_file(str(folder / "model.safetensors"))
        legacy = {name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): value
                  for name, value in weights.items()}
        self.assertNotEqual(legacy.keys(), weights.keys())
        safetensors.torch.save_file(legacy, str(folder / "model.safetensors"), metadata={"format": "pt"})
        self.assertEqual(run_eval("--model", folder, "--text", text_fixture(), "--rows", 4), before)

    def test_a_masked_lm_of_transformers_can_be_fine_tuned(self):
        folder, _ = self.save(transformers.BertForMaskedLM)
        task = make_task(self.dir / "task")
        self.assert_ok(bertcram(*finetune_args(task, folder, self.dir / "out", 1)))

    def test_half_precision_weights_are_read(self):
        folder, model = self.save(transformers.BertForMaskedLM)
        for dtype in (torch.bfloat16, torch.float16):
            with self.subTest(dtype=dtype):
                model.to(dtype).save_pretrained(str(folder), safe_serialization=True)
                result = bertcram("eval", "--model", folder, "--text", text_fixture(), "--rows", 4, "--threads", 1,
                                  "--precision", "fp32", "--json")
                self.assert_ok(result)


if __name__ == "__main__":
    unittest.main(verbosity=2)
