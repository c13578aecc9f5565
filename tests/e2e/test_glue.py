"""finetune-glue on whole GLUE folders: units that are done once, protocols, tasks that fail."""

import json
import shutil
import signal
import time
import unittest

from glue_folders import arguments, make_glue, table
from interruption import CrashTestCase
from support import INPUT, USAGE, E2ETestCase, finetune_args, finish, fixtures, make_model, make_task, must, start


class Units(CrashTestCase):
    """Runs that are done once."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.data = make_glue(fixtures() / "glue-units", "rte", "stsb", "sst2")
        cls.whole = fixtures() / "glue-units-whole"
        must(*arguments(cls.data, cls.whole, "--task", "all"))

    def results(self, folder):
        return (folder / "results.json").read_bytes()

    def test_a_kill_in_the_middle_of_all_tasks_gives_the_same_results(self):
        self.check_kills(arguments(self.data, self.out, "--task", "all"))

    def test_a_kill_with_runs_side_by_side_gives_the_same_results(self):
        self.check_kills(arguments(self.data, self.out, "--task", "all", threads=2))

    def check_kills(self, command):
        for call, glob in [(2, "rename */unit.json"), (2, "rename */out/results.json"), (1, "rename */rte-seed1/*")]:
            self.kill(command, call, glob)
        self.assert_ok(self.bertcram(*command))
        self.assertEqual(self.results(self.out), self.results(self.whole))
        for name in ("rte", "stsb", "sst2"):
            self.assertEqual((self.out / name).readlink(), (self.whole / name).readlink())
        for name in ("rte-seed0/predictions.rte.tsv", "stsb-seed1/predictions.stsb.tsv", "sst2/model.safetensors"):
            self.assertEqual((self.out / name).read_bytes(), (self.whole / name).read_bytes(), name)
        self.assert_no_temporaries()

    def test_runs_side_by_side_give_the_same_bits(self):
        must(*arguments(self.data, self.out, "--task", "all", "--jobs", 2, threads=2))
        self.assertEqual(self.results(self.out), self.results(self.whole))

    def test_what_is_done_is_not_done_again(self):
        before = self.results(self.whole)
        result = must(*arguments(self.data, self.whole, "--task", "rte,sst2"))
        self.assertEqual(self.results(self.whole), before, "other tasks' runs count too")
        self.assertIn("rte: 2 runs are there already", result.err)
        self.assertNotIn("runs, 1 at a time", result.err)
        more = must(*arguments(self.data, self.copy(self.whole, "more"), "--task", "rte", seeds=3))
        self.assertIn("1 run, 1 at a time", more.err)
        seeds = json.loads(self.results(self.dir / "more"))["tasks"]["rte"]["seeds"]
        self.assertEqual(seeds[:2], json.loads(self.results(self.whole))["tasks"]["rte"]["seeds"])
        self.assertEqual(len(seeds), 3)

    def test_a_stop_in_the_middle_of_a_run_loses_no_step(self):
        task = make_task(self.dir / "task", train_rows=2000)
        command = finetune_args(task, make_model(), self.out, 1, "--epochs", 3)
        must(*finetune_args(task, make_model(), self.dir / "whole", 1, "--epochs", 3))
        for seconds in (0.8, 0.4, 1.6, 0.2, 3.2):  # one of these is in the middle on any machine
            shutil.rmtree(self.out, ignore_errors=True)
            process = start(*command)
            time.sleep(seconds)
            process.send_signal(signal.SIGTERM)
            result = finish(process)
            self.assertIn(result.code, (0, 128 + signal.SIGTERM), result)
            if list(self.out.glob("pets-seed0/checkpoints/step-*")):
                break
        else:
            self.fail("no stop came in the middle")
        again = self.assert_ok(self.bertcram(*command))
        self.assertIn("continues at step", again.err)
        self.assertEqual(self.results(self.out), self.results(self.dir / "whole"))
        self.assertEqual((self.out / "pets/model.safetensors").read_bytes(),
                         (self.dir / "whole/pets/model.safetensors").read_bytes())
        self.assertFalse((self.out / "pets-seed0/checkpoints").exists())

    def test_other_settings_are_refused_even_when_no_run_is_done(self):
        task = make_task(self.dir / "task")
        (self.out / "pets-seed0" / "checkpoints").mkdir(parents=True)
        (self.out / "pets-seed0" / "checkpoints" / "kept").write_text("x")
        (self.out / "settings.json").write_text('{"format": "bertcram-finetuning-2", "fingerprint": "other"}')
        with self.unharmed(self.out):
            self.assert_fails(self.bertcram(*finetune_args(task, make_model(), self.out, 1)), USAGE, "other settings")
        (self.out / "settings.json").write_text('{"fingerprint": "other"}')  # an older version's
        (self.out / "results.json").write_text("{}")
        with self.unharmed(self.out):
            self.assert_fails(self.bertcram(*finetune_args(task, make_model(), self.out, 1)), USAGE, "another version")

    def test_another_tokenizer_or_configuration_of_the_model_is_another_model(self):
        task = make_task(self.dir / "task")
        model = self.dir / "model"
        shutil.copytree(make_model(), model)
        (model / "manifest.json").unlink()  # as others' models have none; it would tell the tokenizer's change
        command = finetune_args(task, model, self.out, 1)
        must(*command)
        config, tokenizer, vocab = (model / file for file in ("config.json", "tokenizer.json", "vocab.txt"))
        before = {file: file.read_text() for file in (config, tokenizer, vocab)}
        swapped = json.loads(before[tokenizer])
        ids = swapped["model"]["vocab"]
        ids["the"], ids["a"] = ids["a"], ids["the"]
        lines = before[vocab].splitlines()
        lines[ids["the"]], lines[ids["a"]] = "the", "a"
        for changed, words in (({config: before[config].replace("{", '{"layer_norm_eps_": 1,', 1)}, "another config.json of --model"),
                               ({tokenizer: json.dumps(swapped), vocab: "\n".join(lines) + "\n"}, "another tokenizer of --model")):
            with self.subTest(words):
                for file, text in changed.items():
                    file.write_text(text)
                with self.unharmed(self.out):
                    self.assert_fails(self.bertcram(*command), USAGE, words)
                for file in changed:
                    file.write_text(before[file])
        self.assert_ok(self.bertcram(*command))

    def test_a_setting_that_an_older_version_did_not_have_had_its_default(self):
        out = self.copy(self.whole, "older")
        settings = json.loads((out / "settings.json").read_text())
        without = [line for line in settings["config"].splitlines() if not line.startswith("dropout:")]
        self.assertEqual(len(without), len(settings["config"].splitlines()) - 1)
        settings.update(config="\n".join(without) + "\n", fingerprint="of fewer settings")
        (out / "settings.json").write_text(json.dumps(settings))
        self.assert_ok(self.bertcram(*arguments(self.data, out, "--task", "all")))
        self.assertEqual(self.results(out), self.results(self.whole))
        with self.unharmed(out):
            self.assert_fails(self.bertcram(*arguments(self.data, out, "--task", "all", "--dropout", "0.25")), USAGE,
                              "(dropout: -1 -> 0.25)")

    def test_a_copied_unit_is_not_counted_twice(self):
        out = self.copy(self.whole, "copied")
        shutil.copytree(out / "rte-seed0", out / "rte-seed2")
        result = self.bertcram(*arguments(self.data, out, "--task", "rte", seeds=3))
        self.assertEqual(result.code, INPUT, result)
        self.assertRegex(result.err, "rte-seed2: holds the run rte-seed0")
        self.assertEqual(sorted(json.loads(self.results(out))["tasks"]), ["sst2", "stsb"])

    def test_edited_results_are_refused_and_not_overwritten(self):
        out = self.copy(self.whole, "edited")
        text = (out / "results.json").read_text()
        (out / "results.json").write_text(text.replace('"median": ', '"median": 9', 1))
        with self.unharmed(out / "results.json"):
            self.assert_fails(self.bertcram(*arguments(self.data, out, "--task", "all")), INPUT, "results.json", "move it")
        (out / "results.json").unlink()
        self.assert_ok(self.bertcram(*arguments(self.data, out, "--task", "all")))
        self.assertEqual(self.results(out), self.results(self.whole))
        unit = out / "rte-seed0" / "unit.json"
        unit.write_text(unit.read_text().replace('"seed": 0', '"seed": 7'))
        result = self.bertcram(*arguments(self.data, out, "--task", "all"))
        self.assertEqual(result.code, INPUT, result)
        self.assertIn("rte-seed0/unit.json", result.err)
        self.assertIn("rte-seed0/unit.json", json.loads(self.results(out))["failed"]["rte"])


class Tasks(E2ETestCase):
    def setUp(self):
        super().setUp()
        self.out = self.dir / "out"

    def results(self):
        return json.loads((self.out / "results.json").read_text())

    def test_one_failing_task_does_not_stop_the_others(self):
        data = make_glue(self.dir / "glue", "rte", "stsb", "sst2")
        bad = data / "STS-B" / "dev.tsv"
        good = bad.read_text()
        bad.write_text(good.rsplit("\t", 1)[0] + "\t7.5\n")
        result = self.bertcram(*arguments(data, self.out, "--task", "all", seeds=1))
        self.assertEqual(result.code, INPUT, result)
        self.assertIn("failed: stsb: ", result.text)
        self.assertIn("dev.tsv:13: score 7.5 is out of range", result.err)
        found = self.results()
        self.assertEqual(sorted(found["tasks"]), ["rte", "sst2"])
        self.assertIn("score 7.5", found["failed"]["stsb"])
        bad.write_text(good)
        again = self.assert_ok(self.bertcram(*arguments(data, self.out, "--task", "all", seeds=1)))
        self.assertIn("1 run, 1 at a time", again.err)
        self.assertNotIn("failed", self.results())

    def test_a_damaged_diagnostic_set_is_a_failure(self):
        data = make_glue(self.dir / "glue", "mnli")
        (data / "AX").mkdir()
        (data / "AX" / "diagnostic-full.tsv").write_text("x\n")
        result = self.bertcram(*arguments(data, self.out, "--task", "mnli", seeds=1))
        self.assertEqual(result.code, INPUT, result)
        self.assertEqual(sorted(self.results()["tasks"]), ["mnli", "mnli-mm"])
        self.assertIn("Premise", self.results()["failed"]["ax"])
        rows = [f"l\ts\tk\td\tThe dog sees .\tThe cat sees .\t{label}\tneutral" for label in ("entailment", "neutral")]
        head = "Lexical Semantics\tPredicate-Argument Structure\tLogic\tKnowledge\tPremise\tHypothesis\tLabel\tDomain"
        (data / "AX" / "diagnostic-full.tsv").write_text("\n".join([head, *rows]) + "\n")
        again = self.bertcram(*arguments(data, self.out, "--task", "mnli", seeds=1))
        self.assertEqual(again.code, INPUT, again)
        self.assertIn("not scored with these runs of mnli; remove", self.results()["failed"]["ax"])
        self.assertEqual(sorted(self.results()["tasks"]), ["mnli", "mnli-mm"])
        shutil.rmtree(self.out / "mnli-seed0")
        must(*arguments(data, self.out, "--task", "mnli", seeds=1))
        self.assertEqual(sorted(self.results()["tasks"]), ["ax", "mnli", "mnli-mm"])

    def test_scores_of_any_range_are_learnt(self):
        rows = [f"{i % 11 * 100 + 1000}\tthe {'cat' if i % 11 > 5 else 'dog'} sees" for i in range(110)]
        for file in ("train.tsv", "dev.tsv"):
            (self.dir / file).write_text("\n".join(["score\ttext", *rows]) + "\n")
        task = self.dir / "scores.yaml"
        task.write_text("name: scores\ntrain: train.tsv\ndev: dev.tsv\ncolumns: {sentence1: text, label: score}\nrange: [1000, 2000]\n")
        must(*finetune_args(task, make_model(), self.out, 1, "--learning-rate", "1e-2", "--epochs", 8))
        predicted = [float(row["prediction"]) for row in table(self.out / "scores-seed0" / "predictions.scores.tsv")]
        self.assertAlmostEqual(sum(predicted) / len(predicted), 1500, delta=100)
        self.assertGreater(max(predicted) - min(predicted), 5)
        answer = must("predict", "--model", self.out / "scores", "--precision", "fp32", "--json", stdin="the dog sees\n").json
        self.assertAlmostEqual(answer["score"], predicted[0], delta=0.01)

    def test_transfer_starts_from_the_mnli_model_and_trains_it_when_it_must(self):
        data = make_glue(self.dir / "glue", "rte", "mnli")
        result = must(*arguments(data, self.out, "--task", "rte", "--protocol", "transfer"))
        self.assertIn("rte starts from the mnli model", result.err)
        found = self.results()
        self.assertEqual(found["protocol"], "transfer")
        self.assertEqual(sorted(found["tasks"]), ["mnli", "mnli-mm", "rte"])
        self.assertEqual(found["overrides"], {"epochs": "1", "max_tokens": "32"})  # the model takes no more
        self.assertTrue((self.out / "mnli-seed0" / "model" / "config.json").exists())
        alone = self.dir / "alone"  # the second seed by a command of its own starts from the same model
        must(*arguments(data, alone, "--task", "rte", "--protocol", "transfer", "--first-seed", 1, seeds=1))
        self.assertEqual(*((folder / "rte-seed1" / "predictions.rte.tsv").read_bytes() for folder in (self.out, alone)))
        shutil.rmtree(self.out / "mnli-seed0" / "model")
        shutil.rmtree(self.out / "rte-seed1")
        before = (self.out / "results.json").read_bytes()
        again = must(*arguments(data, self.out, "--task", "rte", "--protocol", "transfer"))
        self.assertIn("2 runs, 1 at a time", again.err)
        self.assertEqual((self.out / "results.json").read_bytes(), before)
        # Another MNLI model, another RTE model: from the pretrained one it would be the same.
        rte = self.out / "rte-seed1" / "predictions.rte.tsv"
        first = rte.read_bytes()
        weights = self.out / "mnli-seed0" / "model" / "model.safetensors"
        random = self.dir / "random"
        must(*arguments(data, random, "--task", "mnli", "--init", "random", "--protocol", "transfer", seeds=1))
        shutil.copy(random / "mnli" / "model.safetensors", weights)
        shutil.rmtree(self.out / "rte-seed1")
        must(*arguments(data, self.out, "--task", "rte", "--protocol", "transfer"))
        self.assertNotEqual(rte.read_bytes(), first)

    def test_transfer_without_its_start_says_so(self):
        data = make_glue(self.dir / "glue", "rte")
        result = self.bertcram(*arguments(data, self.out, "--task", "rte", "--protocol", "transfer"))
        self.assertEqual(result.code, INPUT, result)
        self.assertIn("mnli", result.err)
        self.assertFalse((self.out / "results.json").exists())

    def test_search_reports_every_point_and_keeps_the_best(self):
        data = make_glue(self.dir / "glue", "sst2", "mnli")
        result = must(*arguments(data, self.out, "--task", "sst2,mnli", "--protocol", "search", seeds=1, epochs=2))
        self.assertIn("tried for mnli: ", result.text)
        self.assertNotIn("tried for mnli-mm", result.text)  # no grid of its own
        task = self.results()["tasks"]["sst2"]
        self.assertEqual([point["learning_rate"] for point in task["grid"]], [5e-5, 4e-5, 3e-5, 2e-5])
        self.assertEqual(task["mean"], max(point["mean"] for point in task["grid"]))
        self.assertEqual(len(task["seeds"]), 1)
        self.assertIn("tried for sst2: 5e-05 ", result.text)
        best = must("eval", "--model", self.out / "sst2", "--task", "sst2", "--data", data, "--threads", 1, "--json").json
        self.assertEqual(best["accuracy"], task["seeds"][0]["metrics"]["accuracy"])

    def test_results_have_intervals_classes_and_predictions_that_agree(self):
        data = make_glue(self.dir / "glue", "rte")
        must(*arguments(data, self.out, "--task", "rte", "--save-models", "all"))
        for seed in self.results()["tasks"]["rte"]["seeds"]:
            accuracy = seed["metrics"]["accuracy"]
            low, high = seed["intervals"]["accuracy"]
            self.assertTrue(0 <= low <= accuracy <= high <= 100)
            self.assertEqual(seed["examples"], 12)
            rows = table(self.out / f"rte-seed{seed['seed']}" / "predictions.rte.tsv")
            self.assertEqual([int(row["line"]) for row in rows], list(range(2, 14)))
            right = sum(row["label"] == row["prediction"] for row in rows)
            self.assertAlmostEqual(100 * right / 12, accuracy, places=9)
            for word in ("entailment", "not_entailment"):
                counts = seed["classes"][word]
                self.assertEqual(counts["examples"], sum(row["label"] == word for row in rows))
                self.assertEqual(counts["predicted"], sum(row["prediction"] == word for row in rows))
            for row in rows:
                chances = {word: float(row[f"p({word})"]) for word in ("entailment", "not_entailment")}
                self.assertAlmostEqual(sum(chances.values()), 1, places=4)
                self.assertEqual(max(chances, key=chances.get), row["prediction"])

    def test_mistakes_baseline_and_markdown(self):
        data = make_glue(self.dir / "glue", "rte", "stsb")
        result = must(*arguments(data, self.out, "--task", "all", "--errors", 3, "--baseline", "--markdown"))
        self.assertIn("| task | metric | median | mean ± sd | seeds | 95 % of dev sets | bag of words |", result.text)
        self.assertIn("| BERT-base | sane | 80.9 | 80.7 |", result.text)
        rows = table(self.out / "errors.tsv")
        self.assertLessEqual(len(rows), 6)
        dev = (data / "RTE" / "dev.tsv").read_text().splitlines()
        for row in rows:
            if row["task"] == "rte":
                self.assertNotEqual(row["label"], row["prediction"])
                self.assertEqual(dev[int(row["line"]) - 1].split("\t")[1:3], [row["text"], row["second text"]])
        (predictions,) = self.out.glob(f"{(self.out / 'rte').readlink().parts[0]}/predictions.rte.tsv")
        written = predictions.read_text()
        predictions.write_text(written.replace("0.", "1."))
        edited = self.bertcram(*arguments(data, self.out, "--task", "all", "--errors", 3))
        self.assertEqual(edited.code, INPUT, edited)
        self.assertIn("predictions.rte.tsv: its predictions are not those that were written", edited.err)
        predictions.write_text(written)
        before = self.results()["tasks"]["rte"]["bag_of_words"]
        more = make_glue(self.dir / "glue", "sst2")
        must(*arguments(more, self.out, "--task", "sst2", "--baseline"))
        tasks = self.results()["tasks"]
        self.assertEqual(tasks["rte"]["bag_of_words"], before, "of an earlier command")
        self.assertIn("bag_of_words", tasks["sst2"])

    def test_json_lines_of_superglue_score_like_the_same_rows_in_tsv(self):
        data = make_glue(self.dir / "glue", "rte")
        twin = self.dir / "twin" / "RTE"
        twin.mkdir(parents=True)
        for source, target in (("train.tsv", "train.jsonl"), ("dev.tsv", "val.jsonl")):
            lines = (data / "RTE" / source).read_text().splitlines()[1:]
            with open(twin / target, "w", encoding="utf-8") as out:
                for line in lines:
                    index, premise, hypothesis, label = line.split("\t")
                    out.write(json.dumps({"premise": premise, "hypothesis": hypothesis, "label": label, "idx": index}) + "\n")
        must(*arguments(data, self.out, "--task", "rte", seeds=1))
        must(*arguments(self.dir / "twin", self.dir / "other", "--task", "rte", seeds=1))
        self.assertEqual((self.out / "rte" / "model.safetensors").read_bytes(),
                         (self.dir / "other" / "rte" / "model.safetensors").read_bytes())

    def test_what_was_cut_and_damaged_is_said_of_dev_and_test_sets_too(self):
        data = make_glue(self.dir / "glue", "rte", test=3)
        long = " ".join(["the dog"] * 40).encode()
        for file in ("dev.tsv", "test.tsv"):
            path = data / "RTE" / file
            head, *rows = path.read_bytes().splitlines()
            first = rows[0].split(b"\t")
            first[1:3] = [long, b"caf\xe9"]
            path.write_bytes(b"\n".join([head, b"\t".join(first), *rows[1:]]) + b"\n")
        result = must(*arguments(data, self.out, "--task", "rte", "--submission", "zip", "--fill-missing", seeds=1))
        for file, rows in (("dev", 12), ("test", 3)):
            self.assertRegex(result.err, rf"{file}.tsv: 1 of {rows} examples cut to \d+ tokens")
            self.assertIn(f"{file}.tsv: 1 texts are not UTF-8", result.err)
        evaluated = must("eval", "--model", self.out / "rte", "--task", "rte", "--data", data, "--threads", 1)
        self.assertRegex(evaluated.err, r"dev.tsv: 1 of 12 examples cut to \d+ tokens")
        self.assertIn("dev.tsv: 1 texts are not UTF-8", evaluated.err)

    def test_a_copy_of_the_dev_set_is_no_test_set(self):
        data = make_glue(self.dir / "glue", "rte", test=4)
        shutil.copy(data / "RTE" / "dev.tsv", data / "RTE" / "test.tsv")
        command = arguments(data, self.out, "--task", "rte", seeds=1)
        must(*command)
        with self.unharmed(self.out / "results.json"):
            result = self.bertcram(*command, "--submission", "zip", "--fill-missing")
            self.assert_fails(result, INPUT, "test.tsv:1: a column 'label', which GLUE's test sets do not have")
        self.assertFalse((self.out / "submission.zip").exists())

    def test_the_table_fills_above_the_bar_on_a_terminal(self):
        data = make_glue(self.dir / "glue", "rte", "sst2", train=200)
        output = self.on_a_terminal(*arguments(data, self.out, "--task", "all", seeds=2, epochs=3)).decode()
        drawn = [part for part in output.split("\r\x1b[J") if "finetune-glue [" in part]
        self.assertTrue(drawn, output[-500:])
        for block in drawn:
            lines = block.split("\n")
            self.assertEqual(lines[0].split()[:3], ["seed", "0", "1"])
            self.assertEqual([line.split()[0] for line in lines[1:-1]], ["sst2", "rte"])
            self.assertTrue(lines[-1].endswith(f"\x1b[{len(lines) - 1}A\r"), "the cursor goes back to the top")
        self.assertTrue(any(" %" in block for block in drawn))
        self.assertIn("1 of 2 tasks done", output)
        self.assertIn("2 of 2 tasks done", output)
        self.assertTrue(output.endswith("\r\x1b[J"), "the table does not stay")

    def test_the_markdown_option_changes_nothing_on_disk(self):
        data = make_glue(self.dir / "glue", "sst2")
        must(*arguments(data, self.out, "--task", "sst2", seeds=1))
        with self.unharmed(self.out / "results.json"):
            must(*arguments(data, self.out, "--task", "sst2", "--markdown", seeds=1))


if __name__ == "__main__":
    unittest.main(verbosity=2)
