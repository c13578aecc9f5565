"""Agreement with Hugging Face transformers: the same loss, logits and predictions, folders that load both ways."""

import json
import math
import os
import pathlib
import subprocess
import unittest

from interop import (MASKING, TOLERANCE, InteropTestCase, RandomStream, classifier_accuracy, load, masked_lm_scores,
                     run_eval, torch, transformers)
import safetensors.torch
from support import (BINARY, bertcram, finetune_args, make_model, make_packed, make_task, make_tokenizer, must, pretrain_args, sets,
                     text_fixture)

PROBE_MODEL = pathlib.Path(os.environ.get("BERTCRAM_PROBE_MODEL", BINARY.parent / "probe_model"))


class Masking(InteropTestCase):

    def test_the_random_stream_is_the_one_that_runs_rely_on(self):
        # The numbers of tests/util/random_test.cpp; if this fails, the losses below cannot agree.
        stream = RandomStream(2024, MASKING, [3, 4])
        self.assertEqual(stream.next(), 0x28B01CCC7D2D1A1A)
        self.assertEqual(stream.below(30522), 19036)


class OurModels(InteropTestCase):
    """What bertcram wrote, read by transformers."""
    settings = {}
    embeddings = "bert.embeddings.word_embeddings.weight"

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.run_folder = make_packed().parent / f"interop-run-{cls.family}"
        if not cls.run_folder.exists():
            must(*pretrain_args(make_packed(), cls.run_folder, 60, **{
                "model__layers": 2, "model__init_std": 0.1, "optim__learning_rate": 0.01, **cls.settings}))
        cls.model = cls.run_folder / "model"

    def test_a_pretrained_model_loads_with_nothing_missing_or_left(self):
        load(self.kind("ForMaskedLM"), self.model)
        load(transformers.AutoModelForMaskedLM, self.model)

    def test_the_weights_file_says_what_it_is(self):
        with safetensors.safe_open(str(self.model / "model.safetensors"), "pt") as file:
            self.assertEqual(file.metadata(), {"format": "pt"})
            self.assertIn(self.embeddings, file.keys())
            self.assertEqual({file.get_tensor(key).dtype for key in file.keys()}, {torch.float32})

    def test_the_held_out_loss_is_the_one_of_transformers(self):
        model = load(self.kind("ForMaskedLM"), self.model)
        theirs = masked_lm_scores(model, make_packed())
        self.assert_same_scores(run_eval("--model", self.model, "--data", make_packed()), theirs)
        self.assertLess(theirs["loss"], math.log(200))

    def logits_of(self, folder, ids, types, lengths):
        """bertcram's, by the test tool probe_model, and those of transformers, on what is no padding."""
        file = self.dir / "in.safetensors"
        safetensors.torch.save_file({"ids": ids, "token_types": types, "lengths": lengths}, str(file))
        subprocess.run([PROBE_MODEL, folder, file, self.dir / "out.safetensors", "fp32"], check=True)
        ours = safetensors.torch.load_file(str(self.dir / "out.safetensors"))["logits"]
        kind = json.loads((folder / "config.json").read_text())["architectures"][0]
        mask = torch.arange(ids.shape[1])[None] < lengths[:, None]
        arguments = {"token_type_ids": types} if self.family == "Bert" else {}
        with torch.no_grad():
            theirs = load(getattr(transformers, kind), folder)(input_ids=ids, attention_mask=mask.long(),
                                                               **arguments).logits
        return (ours[mask], theirs[mask]) if ours.dim() == 3 else (ours, theirs)

    def test_the_logits_of_our_folders_are_those_of_transformers(self):
        task = make_task(self.dir / "task")
        must(*finetune_args(task, self.model, self.dir / "out", 1, "--save-models", "all", "--learning-rate", "1e-2"))
        generator = torch.Generator().manual_seed(5)
        lengths = torch.tensor([32, 7, 19, 1])
        ids = torch.randint(5, 200, (4, 32), generator=generator)
        types = torch.randint(0, 2, (4, 32), generator=generator)
        for folder in (self.model, self.dir / "out" / "pets-seed0" / "model"):
            with self.subTest(folder=folder.name):
                ours, theirs = self.logits_of(folder, ids, types, lengths)
                self.assertGreater(theirs.abs().max().item(), 0.1)
                self.assertLess(((ours - theirs).abs().max() / theirs.abs().max()).item(), TOLERANCE)

    def test_a_text_that_is_too_long_is_cut_to_what_the_model_takes(self):
        tokenizer = transformers.AutoTokenizer.from_pretrained(str(self.model))
        model = load(self.kind("ForMaskedLM"), self.model)
        encoded = tokenizer("the cat sees the dog . " * 100, truncation=True, return_tensors="pt")
        self.assertEqual(encoded["input_ids"].shape[1], model.config.max_position_embeddings)
        self.assertEqual("token_type_ids" in encoded, self.family == "Bert")
        model(**encoded)

    def test_the_held_out_loss_of_another_masking_seed(self):
        model = load(self.kind("ForMaskedLM"), self.model)
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
        result = must(*finetune_args(task, self.model, self.dir / "out", 1, "--save-models", "all", "--json")).json
        (folder,) = {path.parent for path in (self.dir / "out").rglob("model.safetensors")}
        model = load(self.kind("ForSequenceClassification"), folder)
        self.assertEqual(model.config.id2label, {0: "cats", 1: "dogs"})
        self.assertEqual(model.config.label2id, {"cats": 0, "dogs": 1})
        accuracy = classifier_accuracy(model, folder, task)
        self.assertAlmostEqual(accuracy, run_eval("--model", folder, "--task-file", task)["accuracy"], places=9)
        self.assertAlmostEqual(accuracy, result["tasks"]["pets"]["seeds"][0]["metrics"]["accuracy"], places=9)


class OurModernModels(OurModels):
    family = "ModernBert"
    settings = {"model__arch": "modern", "model__layers": 4, "model__global_every": 3, "model__local_attention": 8}
    embeddings = "model.embeddings.tok_embeddings.weight"


class OurDiscriminators(InteropTestCase):
    """What replaced-token detection wrote, read by transformers."""

    def test_both_models_load_with_nothing_missing_or_left(self):
        model = make_model(arch=self.arch, objective="rtd")
        loaded = load(self.kind("ForTokenClassification"), model)
        self.assertEqual(loaded.config.id2label, {0: "original", 1: "replaced"})
        load(transformers.AutoModelForTokenClassification, model)
        load(self.kind("ForMaskedLM"), model.parent / "generator")

    def test_the_generator_is_the_masked_lm_of_the_run(self):
        generator = make_model(arch=self.arch, objective="rtd").parent / "generator"
        theirs = masked_lm_scores(load(self.kind("ForMaskedLM"), generator), make_packed())
        self.assert_same_scores(run_eval("--model", generator, "--data", make_packed()), theirs)
        lines = (generator.parent / "metrics.jsonl").read_text().splitlines()
        last = [line for line in map(json.loads, lines) if "eval_loss" in line][-1]
        self.assertAlmostEqual(last["eval_loss"], theirs["loss"], delta=1e-4)
        self.assertTrue(0 < last["eval_rtd_replaced"] < 0.16, last)

    def test_a_discriminator_can_be_fine_tuned_but_fills_no_gaps(self):
        model = make_model(arch=self.arch, objective="rtd")
        task = make_task(self.dir / "task")
        must(*finetune_args(task, model, self.dir / "out", 1, "--save-models", "all"))
        load(self.kind("ForSequenceClassification"), self.dir / "out" / "pets-seed0" / "model")
        self.assert_fails(bertcram("fill-mask", "--model", model, stdin="the [MASK]\n"), 3, "generator")


class OurModernDiscriminators(OurDiscriminators):
    family = "ModernBert"


class TheirModels(InteropTestCase):
    """What transformers wrote, read by bertcram."""

    def packed_by(self, folder):
        """bertcram's own packing with the tokenizer of that folder."""
        must("pack", "--input", text_fixture(), "--tokenizer", folder, "--output", self.dir / "packed", "--seq-len", 32,
             "--valid-frac", 0.1, "--threads", 1)
        return self.dir / "packed"

    def check_masked_lm(self, **config):
        folder, _ = self.save("ForMaskedLM", **config)
        packed = self.packed_by(folder)
        theirs = masked_lm_scores(load(self.kind("ForMaskedLM"), folder), packed)
        self.assert_same_scores(run_eval("--model", folder, "--data", packed), theirs)

    def test_a_random_masked_lm_has_the_same_loss(self):
        self.check_masked_lm()

    def test_another_epsilon_of_the_layer_norms(self):
        self.check_masked_lm(**{"layer_norm_eps" if self.family == "Bert" else "norm_eps": 1e-3})

    def test_more_embeddings_than_pieces(self):
        self.check_masked_lm(vocab_size=256)

    # A config that this program cannot honour must not give other numbers in silence.
    unlike = ({"hidden_act": "relu"}, {"hidden_act": "gelu_new"}, {"tie_word_embeddings": False},
              {"position_embedding_type": "relative_key"}, {"is_decoder": True})

    def test_unlike_settings_are_computed_or_refused_but_never_ignored(self):
        for config in self.unlike:
            with self.subTest(**config):
                name = "-".join(map(str, *config.items()))
                folder, _ = self.save("ForMaskedLM", name=name, **config)
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
                model = load(self.kind("ForMaskedLM"), folder)
                self.assert_same_scores(run_eval("--model", folder, "--data", packed), masked_lm_scores(model, packed))

    def check_classifier(self, id2label):
        labels = {"id2label": id2label, "label2id": {word: number for number, word in id2label.items()}}
        folder, _ = self.save("ForSequenceClassification", **labels)
        task = make_task(self.dir / "task", dev_rows=80)
        theirs = classifier_accuracy(load(self.kind("ForSequenceClassification"), folder), folder, task)
        self.assertTrue(5 < theirs < 95, f"accuracy {theirs} shows little")
        self.assertNotEqual(theirs, 50)
        self.assertAlmostEqual(run_eval("--model", folder, "--task-file", task)["accuracy"], theirs, places=9)

    def test_a_classifier_has_the_same_accuracy(self):
        self.check_classifier({0: "cats", 1: "dogs"})

    def test_a_classifier_whose_labels_stand_in_another_order(self):
        self.check_classifier({0: "dogs", 1: "cats"})

    def test_weights_in_shards_are_read_as_one(self):
        folder, model = self.save("ForMaskedLM")
        whole = run_eval("--model", folder, "--text", text_fixture(), "--rows", 4)
        (folder / "model.safetensors").unlink()
        model.save_pretrained(str(folder), max_shard_size="60KB")
        self.assertFalse((folder / "model.safetensors").exists())
        self.assertGreater(len(list(folder.glob("model-*.safetensors"))), 2)
        self.assertEqual(run_eval("--model", folder, "--text", text_fixture(), "--rows", 4), whole)
        must(*finetune_args(make_task(self.dir / "task"), folder, self.dir / "out", 1))
        first = sorted(folder.glob("model-*.safetensors"))[0]
        first.unlink()
        self.assert_fails(bertcram("eval", "--model", folder, "--text", text_fixture()), 3, first.name, "missing")

    def test_the_names_of_layer_norms_from_tensorflow(self):  # as in the published bert-base-uncased
        if self.family != "Bert":
            self.skipTest("there is no ModernBERT from TensorFlow")
        folder, _ = self.save("ForMaskedLM")
        before = run_eval("--model", folder, "--text", text_fixture(), "--rows", 4)
        weights = safetensors.torch.load_file(str(folder / "model.safetensors"))
        legacy = {name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): value
                  for name, value in weights.items()}
        self.assertNotEqual(legacy.keys(), weights.keys())
        safetensors.torch.save_file(legacy, str(folder / "model.safetensors"), metadata={"format": "pt"})
        self.assertEqual(run_eval("--model", folder, "--text", text_fixture(), "--rows", 4), before)

    def test_a_masked_lm_of_transformers_can_be_fine_tuned(self):
        folder, _ = self.save("ForMaskedLM")
        task = make_task(self.dir / "task")
        self.assert_ok(bertcram(*finetune_args(task, folder, self.dir / "out", 1)))

    def test_pretraining_goes_on_from_a_model_of_transformers(self):  # domain adaptation
        folder, model = self.save("ForMaskedLM")
        packed = self.packed_by(folder)
        theirs = masked_lm_scores(model, packed)
        out = self.dir / "run"
        must("pretrain", "--init-from", folder, "--data", packed, "--output", out, "--steps", 40, "--threads", 1,
             "--precision", "fp32", *sets(batch__rows=8, log_every_steps=10))
        adapted = load(self.kind("ForMaskedLM"), out / "model")
        ours = masked_lm_scores(adapted, packed)
        self.assertLess(ours["loss"], theirs["loss"] - 0.2)
        self.assert_same_scores(run_eval("--model", out / "model", "--data", packed), ours)

    def test_half_precision_weights_are_read(self):
        folder, model = self.save("ForMaskedLM")
        packed = self.packed_by(folder)
        for dtype in (torch.bfloat16, torch.float16):
            with self.subTest(dtype=dtype):
                model.to(dtype).save_pretrained(str(folder), safe_serialization=True)
                theirs = masked_lm_scores(load(self.kind("ForMaskedLM"), folder), packed)
                self.assert_same_scores(run_eval("--model", folder, "--data", packed), theirs)


class TheirModernModels(TheirModels):
    family = "ModernBert"
    unlike = ({"hidden_activation": "silu"}, {"norm_bias": True}, {"mlp_bias": True}, {"tie_word_embeddings": False},
              {"classifier_bias": True}, {"decoder_bias": False}, {"layer_types": ["sliding_attention"] * 4})

    def test_an_encoder_whose_head_is_not_computed_can_be_fine_tuned(self):
        task = make_task(self.dir / "task")
        for setting in ({"classifier_bias": True}, {"decoder_bias": False}):
            with self.subTest(**setting):
                folder, _ = self.save("ForMaskedLM", name="-".join(setting), **setting)
                must(*finetune_args(task, folder, self.dir / f"out-{'-'.join(setting)}", 1))
                self.assert_fails(bertcram("fill-mask", "--model", folder, stdin="the [MASK]\n"), 3, *setting)


if __name__ == "__main__":
    unittest.main(verbosity=2)
