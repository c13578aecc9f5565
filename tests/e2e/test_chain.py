"""The whole chain with the real binary on a toy corpus: what it learns is really there at the end."""

import json
import math
import pathlib
import random
import unittest

from support import E2ETestCase, fixtures, make_packed, must, pretrain_args, read_jsonl, sets, zstd_file

DAYS = "monday tuesday wednesday thursday friday saturday sunday".split()
MONTHS = "january february march april may june july august september october november december".split()
FOOD = "bread cheese apples rice soup fish eggs".split()
MODEL = {"model.hidden": 64, "model.layers": 2, "model.heads": 4, "model.ffn": 128, "model.max_positions": 32,
         "mask.mask_prob": 0.25,  # unlike the 15 % at which held-out rows are measured
         "batch.rows": 32, "batch.micro_rows": 32, "optim.learning_rate": 4e-3, "log_every_steps": 20}

# Seeds end between 0.2 and 0.6 of the unigram entropy (six runs); a model that learnt only frequencies stays at 1.
FAR_BELOW = 0.75


def toy_documents(count, seed):
    """Every word follows from its neighbours: days and months in their order, each day with its own food."""
    rng = random.Random(seed)
    for _ in range(count):
        sentences = []
        for _ in range(4):
            day, month = rng.randrange(7), rng.randrange(12)
            sentences.append(f"after {DAYS[day]} comes {DAYS[(day + 1) % 7]} and we eat {FOOD[day]} .")
            sentences.append(f"{MONTHS[month]} , {MONTHS[(month + 1) % 12]} , {MONTHS[(month + 2) % 12]} .")
        yield "\n".join(sentences)


class Chain(E2ETestCase):
    """One toy corpus through all stages; each test looks at another part of the result."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        root = cls.root = fixtures() / "chain"
        (root / "text").mkdir(parents=True)
        documents = list(toy_documents(1500, seed=5))
        (root / "text" / "a.txt").write_text("\n\n".join(documents[:750]) + "\n", encoding="utf-8")
        (root / "b.txt").write_text("\n\n".join(documents[750:]) + "\n", encoding="utf-8")
        zstd_file(root / "b.txt", root / "text" / "b.txt.zst")
        (root / "held-out.txt").write_text("\n\n".join(toy_documents(60, seed=6)) + "\n", encoding="utf-8")
        cls.tokenized = must("tokenize", "--input", root / "text", "--output", root / "tok", "--vocab-size", 100,
                             "--threads", 1, "--json").json
        cls.packed = must("pack", "--input", root / "text", "--tokenizer", root / "tok", "--output", root / "packed",
                          "--seq-len", 32, "--valid-frac", 0.05, "--threads", 1, "--json").json
        cls.pretrained = must("pretrain", "--data", root / "packed", "--output", root / "runs" / "toy", "--steps", 500,
                              "--threads", 1, "--json", *sets(MODEL)).json
        cls.task = cls.make_task(root / "task")

    @classmethod
    def make_task(cls, folder):
        """Which food belongs to the day that is not named but follows? Needs what pretraining taught."""
        folder.mkdir()
        rng = random.Random(8)
        for name, rows in (("train.tsv", 250), ("dev.tsv", 70)):
            lines = ["sentence\tnext"]
            for _ in range(rows):
                day = rng.randrange(7)
                lines.append(f"after {DAYS[day]} comes a day , {rng.choice(MONTHS)} .\t{'week' if day < 4 else 'end'}")
            (folder / name).write_text("\n".join(lines) + "\n")
        (folder / "days.yaml").write_text("name: days\ntrain: train.tsv\ndev: dev.tsv\n"
                                          "columns: {sentence1: sentence, label: next}\n")
        return folder / "days.yaml"

    def finetune(self, output, *more):
        return must("finetune-glue", "--task-file", self.task, "--model", self.root / "runs" / "toy" / "model",
                    "--output", output, "--seeds", 2, "--epochs", 8, "--batch-rows", 16, "--learning-rate", 1e-3,
                    "--threads", 1, "--json", *more).json

    def test_tokenize_gives_what_it_says(self):
        self.assertEqual(self.tokenized["vocab_size"], 100)
        self.assertEqual(len((self.root / "tok" / "vocab.txt").read_text().splitlines()), 100)

    def test_pack_sees_both_plain_and_compressed_text(self):
        self.assertEqual(self.packed["documents_read"], 1500)
        manifest = json.loads((self.root / "packed" / "manifest.json").read_text())
        self.assertEqual(sorted(pathlib.Path(source["path"]).name for source in manifest["sources"]),
                         ["a.txt", "b.txt.zst"])
        self.assertEqual(self.packed["documents_train"] + self.packed["documents_valid"] +
                         self.packed["documents_duplicate"], 1500)

    def test_the_held_out_loss_falls_far_below_the_unigram_entropy(self):
        entropy = self.packed["unigram_entropy_nats"]
        self.assertTrue(2 < entropy < math.log(100), entropy)
        self.assertAlmostEqual(self.pretrained["unigram_entropy"], entropy, places=6)
        self.assertLess(self.pretrained["eval_loss"], FAR_BELOW * entropy)

    def test_eval_agrees_with_the_end_of_training(self):
        scores = must("eval", "--model", self.root / "runs" / "toy" / "model", "--data", self.root / "packed",
                      "--threads", 1, "--json").json
        self.assertAlmostEqual(scores["loss"], self.pretrained["eval_loss"], delta=0.02)
        self.assertAlmostEqual(scores["perplexity"], math.exp(scores["loss"]), places=6)

    def test_eval_on_unseen_text_agrees_with_the_held_out_rows(self):
        scores = must("eval", "--model", self.root / "runs" / "toy" / "model", "--text", self.root / "held-out.txt",
                      "--threads", 1, "--json").json
        self.assertLess(scores["loss"], FAR_BELOW * self.packed["unigram_entropy_nats"])
        self.assertGreater(scores["accuracy"], 0.25)

    def test_the_metrics_tell_the_story(self):
        lines = read_jsonl(self.root / "runs" / "toy" / "metrics.jsonl")
        self.assertLessEqual({"fingerprint", "version", "torch_version", "device", "seed"}, lines[0].keys())
        training = [line for line in lines if "lr" in line]
        for line in training:
            self.assertLessEqual({"step", "tokens", "loss", "lr", "grad_norm", "tokens_per_second", "mfu",
                                  "elapsed_seconds", "memory_bytes"}, line.keys())
            self.assertTrue(math.isfinite(line["loss"]) and line["tokens_per_second"] > 0)
        self.assertEqual(training[-1]["step"], 500)
        self.assertEqual(training[-1]["tokens"], 500 * 32 * 32)
        self.assertLess(training[-1]["loss"], FAR_BELOW * training[0]["loss"])
        rates = [line["lr"] for line in training]
        self.assertLess(rates[-1], max(rates) / 10)  # one cycle: up and down again
        self.assertLess(rates[0], max(rates))
        times = [line["elapsed_seconds"] for line in training]
        self.assertEqual(times, sorted(times))

    def test_the_run_folder_is_complete(self):
        run = self.root / "runs" / "toy"
        for name in ("config.yaml", "metrics.jsonl", "run.log", "status.json", "checkpoints", "model/config.json",
                     "model/model.safetensors", "model/tokenizer.json", "model/tokenizer_config.json"):
            self.assertTrue((run / name).exists(), name)
        status = json.loads((run / "status.json").read_text())
        self.assertEqual((status["state"], status["step"]), ("finished", 500))
        self.assertEqual((self.root / "runs" / "latest").resolve(), run.resolve())

    def test_fine_tuning_learns_the_task_and_saved_models_score_the_same(self):
        results = self.finetune(self.dir / "tuned", "--save-models", "all")
        scores = results["tasks"]["days"]
        self.assertEqual(scores["metric"], "accuracy")
        self.assertGreater(scores["median"], 90)
        values = [entry["metrics"]["accuracy"] for entry in scores["seeds"]]
        self.assertAlmostEqual(scores["mean"], sum(values) / len(values), places=9)
        self.assertTrue(min(values) <= scores["median"] <= max(values))
        folders = sorted({path.parent for path in (self.dir / "tuned").rglob("model.safetensors")})
        self.assertEqual(len(folders), 2)
        for folder, value in zip(folders, values):
            again = must("eval", "--task-file", self.task, "--model", folder, "--threads", 1, "--json").json
            self.assertAlmostEqual(again["accuracy"], value, places=9)

    def test_the_random_baseline_is_another_model_that_keeps_out_of_the_folder_of_the_first(self):
        def weights(folder):
            return [path.read_bytes() for path in sorted(folder.rglob("model.safetensors"))]
        self.finetune(self.dir / "tuned", "--save-models", "all")
        self.finetune(self.dir / "random", "--init", "random", "--save-models", "all")
        self.assertEqual((len(weights(self.dir / "tuned")), len(weights(self.dir / "random"))), (2, 2))
        self.assertTrue(all(a != b for a, b in zip(weights(self.dir / "tuned"), weights(self.dir / "random"))))
        refused = self.bertcram("finetune-glue", "--task-file", self.task, "--model", self.root / "runs" / "toy" / "model", "--output",
                                self.dir / "tuned", "--seeds", 2, "--epochs", 8, "--batch-rows", 16, "--learning-rate", 1e-3,
                                "--threads", 1, "--init", "random")
        self.assert_fails(refused, 2, "random")

    def test_fine_tuning_again_is_bit_for_bit_the_same(self):
        def weights(folder):
            return [path.read_bytes() for path in sorted(folder.rglob("model.safetensors"))]
        self.finetune(self.dir / "a", "--save-models", "all")
        self.finetune(self.dir / "b", "--save-models", "all")
        self.assertEqual(len(weights(self.dir / "a")), 2)
        self.assertTrue(weights(self.dir / "a") == weights(self.dir / "b"), "same seeds, other weights")

    def test_the_printed_table_names_task_and_score(self):
        result = must("finetune-glue", "--task-file", self.task, "--model", self.root / "runs" / "toy" / "model",
                      "--output", self.dir / "out", "--seeds", 1, "--epochs", 1, "--batch-rows", 16, "--threads", 1)
        score = json.loads((self.dir / "out" / "results.json").read_text())["tasks"]["days"]["median"]
        self.assertIn("days", result.text)
        self.assertIn(f"{score:.2f}", result.text)
        self.assertIn("results.json", result.text)


class Divergence(E2ETestCase):

    def test_a_diverged_run_ends_with_5_and_one_line(self):
        result = self.bertcram(*pretrain_args(make_packed(), self.dir / "run", 40, optim__learning_rate=1e30,
                                              optim__clip_norm=0, schedule__warmup_frac=0, schedule__start_frac=1))
        self.assert_fails(result, 5, "learning_rate", "step")


if __name__ == "__main__":
    unittest.main(verbosity=2)
