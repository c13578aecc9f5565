"""What fine-tuned models answer: the zip for the GLUE site, checked by its own rules, and `predict`."""

import csv
import io
import json
import shutil
import unittest
import zipfile

from glue_folders import NLI, NOUNS, arguments, make_glue, table
from support import INPUT, RESOURCES, USAGE, E2ETestCase, finetune_args, fixtures, make_model, make_task, must

# What the GLUE site asks for (gluebenchmark.com, FAQ): file, rows of the official test set, the words it takes.
OFFICIAL = {"AX": (1104, NLI), "CoLA": (1063, {"0", "1"}), "MNLI-m": (9796, NLI), "MNLI-mm": (9847, NLI),
            "MRPC": (1725, {"0", "1"}), "QNLI": (5463, {"entailment", "not_entailment"}), "QQP": (390_965, {"0", "1"}),
            "RTE": (3000, {"entailment", "not_entailment"}), "SST-2": (1821, {"0", "1"}), "STS-B": (1379, None),
            "WNLI": (146, {"0", "1"})}


def check_submission(data):
    """The site's rules, from its own description. @return the answers by file"""
    answers = {}
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        assert sorted(archive.namelist()) == sorted(name + ".tsv" for name in OFFICIAL), archive.namelist()
        for name, (rows, words) in OFFICIAL.items():
            table = list(csv.reader(io.StringIO(archive.read(name + ".tsv").decode("ascii")), delimiter="\t"))
            assert table[0] == ["index", "prediction"], (name, table[0])
            assert [line[0] for line in table[1:]] == [str(i) for i in range(rows)], (name, len(table))
            answers[name] = [line[1] for line in table[1:]]
            for answer in answers[name]:
                assert answer in words if words else 0 <= float(answer) <= 5, (name, answer)
    return answers


class Submission(E2ETestCase):
    def setUp(self):
        super().setUp()
        self.out = self.dir / "out"

    def test_the_zip_passes_the_sites_rules(self):
        data = make_glue(self.dir / "glue", "rte", test=3000)
        (data / "SST-2").mkdir()
        make_glue(self.dir / "more", "sst2", test=1821)
        shutil.copytree(self.dir / "more" / "SST-2", data / "SST-2", dirs_exist_ok=True)
        command = arguments(data, self.out, "--task", "rte,sst2", "--submission", "zip", "--fill-missing", seeds=1)
        result = must(*command)
        self.assertIn("filled with the most frequent answer: AX, CoLA", result.err)
        answers = check_submission((self.out / "submission.zip").read_bytes())
        self.assertEqual(set(answers["MNLI-m"]), {"contradiction"})
        texts = "".join(line.split("\t", 1)[1] + "\n" for line in (data / "RTE/test.tsv").read_text().splitlines()[1:])
        predicted = must("predict", "--model", self.out / "rte", "--threads", 1, stdin=texts).text.splitlines()
        self.assertEqual([line.split("\t")[0] for line in predicted], answers["RTE"])
        before = (self.out / "submission.zip").read_bytes()
        must(*command)
        self.assertEqual((self.out / "submission.zip").read_bytes(), before)

    def test_what_nothing_answers_is_said_before_anything_is_trained(self):
        data = make_glue(self.dir / "glue", "rte", "sst2", test=5)
        shutil.rmtree(data / "SST-2" / "test.tsv", ignore_errors=True)
        (data / "SST-2" / "test.tsv").unlink()
        result = self.bertcram(*arguments(data, self.out, "--task", "all", "--submission", self.dir / "my.zip"))
        self.assert_fails(result, USAGE, "SST-2 (no test set)", "QQP", "--fill-missing", lines=None)
        self.assertFalse(self.out.exists())
        self.assertFalse((self.dir / "my.zip").exists())

    def test_a_test_set_that_cannot_be_read_is_said_before_anything_is_trained(self):
        data = make_glue(self.dir / "glue", "rte", "sst2", test=5)
        file = data / "RTE" / "test.tsv"
        lines = file.read_text().splitlines(keepends=True)
        file.write_text("".join([lines[0], lines[2], lines[1], *lines[3:]]))
        result = self.bertcram(*arguments(data, self.out, "--task", "rte,sst2", "--submission", "zip", "--fill-missing", seeds=1))
        self.assert_fails(result, INPUT, "RTE/test.tsv:2: index is '1', expected 0")
        self.assertFalse(self.out.exists())

    def test_a_place_for_the_zip_that_is_none_is_said_before_anything_is_trained(self):
        data = make_glue(self.dir / "glue", "rte", test=3)
        (self.dir / "folder.zip").mkdir()
        (self.dir / "file").write_text("kept")
        for place, code, words in (("folder.zip", USAGE, "is a folder"), ("out/results.json", USAGE, "end in .zip"),
                                   ("file", USAGE, "end in .zip"), ("file/below/my.zip", RESOURCES, "file")):
            with self.subTest(place):
                result = self.bertcram(*arguments(data, self.out, "--task", "rte", "--submission", self.dir / place,
                                                  "--fill-missing", seeds=1))
                self.assert_fails(result, code, words)
                self.assertFalse(self.out.exists())
        self.assertEqual((self.dir / "file").read_text(), "kept")

    def test_the_table_is_printed_when_the_zip_cannot_be_written(self):
        data = make_glue(self.dir / "glue", "rte", test=3)
        command = arguments(data, self.out, "--task", "rte", seeds=1)
        must(*command)
        (self.out / "test").write_text("where a folder should be")
        result = self.bertcram(*command, "--submission", "zip", "--fill-missing")
        self.assertEqual(result.code, RESOURCES, result)
        self.assertIn("rte   accuracy", result.text)

    def test_a_model_that_was_not_kept_is_asked_for(self):
        data = make_glue(self.dir / "glue", "rte", test=3)
        must(*arguments(data, self.out, "--task", "rte", "--save-models", "none", seeds=1))
        self.assertFalse((self.out / "rte").exists())
        command = arguments(data, self.out, "--task", "rte", "--submission", "zip", "--fill-missing", seeds=1)
        result = self.bertcram(*command)
        self.assertEqual(result.code, INPUT, result)
        self.assertIn("rte-seed0/model: this model was not kept", result.err)
        self.assertIn("rte   accuracy", result.text)
        shutil.rmtree(self.out / "rte-seed0")
        result = must(*command)
        self.assertIn("3 answers; the official test set has 3,000", result.err)

    def test_models_that_other_commands_kept_answer_too(self):
        data = make_glue(self.dir / "glue", "rte", "sst2", test=3)
        must(*arguments(data, self.out, "--task", "rte", seeds=1))
        submission = ["--submission", "zip", "--fill-missing"]
        must(*arguments(data, self.dir / "alone", "--task", "rte", *submission, seeds=1))
        command = arguments(data, self.out, "--task", "sst2", "--errors", 99, *submission, seeds=1)
        result = must(*command)
        self.assertNotRegex(result.err, "filled with .*RTE")

        def answers(folder):
            with zipfile.ZipFile(folder / "submission.zip") as archive:
                return archive.read("RTE.tsv")

        self.assertEqual(answers(self.out), answers(self.dir / "alone"))
        self.assertEqual(len(answers(self.out).splitlines()), 4, "not the 3,000 usual ones")
        self.assertNotIn("rte", {row["task"] for row in table(self.out / "errors.tsv")})
        shutil.rmtree(self.out / "rte-seed0" / "model")
        self.assertIn("RTE (the model of rte was not kept)", must(*command).err)
        self.assertEqual(len(answers(self.out).splitlines()), 3001)

    def test_edited_answers_are_made_anew(self):
        data = make_glue(self.dir / "glue", "rte", test=3)
        command = arguments(data, self.out, "--task", "rte", "--submission", "zip", "--fill-missing", seeds=1)
        must(*command)
        answers = self.out / "test" / "RTE.tsv"
        before = answers.read_bytes()
        answers.write_bytes(before.replace(b"2\t", b"7\t"))
        result = must(*command)
        self.assertEqual(answers.read_bytes(), before)
        self.assertIn("RTE: 3 answers; the official test set has 3,000 rows", result.err)

    def test_nothing_is_made_of_a_task_that_failed(self):
        data = make_glue(self.dir / "glue", "rte", "sst2", test=3)
        must(*arguments(data, self.out, "--task", "rte,sst2", seeds=1))
        dev = data / "SST-2" / "dev.tsv"
        before = dev.read_bytes()
        dev.write_bytes(before + b"the dog sees the cat .\t1\n")
        command = arguments(data, self.out, "--task", "rte,sst2", "--first-seed", 1, "--baseline", "--errors", 9, "--submission", "zip",
                            "--fill-missing", seeds=1)
        result = self.bertcram(*command)
        self.assertEqual(result.code, USAGE, result)
        self.assertRegex(result.err, "holds results of sst2 .* on other data")
        self.assertRegex(result.err, "filled with the most frequent answer: .*SST-2")
        self.assertNotIn("sst2", {row["task"] for row in table(self.out / "errors.tsv")})
        dev.write_bytes(before)
        must(*command)
        tasks = json.loads((self.out / "results.json").read_text())["tasks"]
        self.assertEqual([name for name in tasks if "bag_of_words" in tasks[name]], ["sst2", "rte"])

    def test_contradictions(self):
        data = make_glue(self.dir / "glue", "rte")
        for options, words in [(["--fill-missing"], ["--submission"]),
                               (["--submission", "zip", "--save-models", "none"], ["--save-models none"])]:
            result = self.bertcram(*arguments(data, self.out, "--task", "rte", *options))
            self.assert_fails(result, USAGE, *words)
        task = make_task(self.dir / "task")
        self.assert_fails(self.bertcram(*finetune_args(task, make_model(), self.out, 1, "--submission", "zip")), USAGE,
                          "--task-file")


class Predict(E2ETestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.root = fixtures() / "predict"
        task = make_task(cls.root / "task")
        must(*finetune_args(task, make_model(), cls.root / "out", 1, "--learning-rate", "1e-3"))
        cls.model = cls.root / "out" / "pets"
        make_glue(cls.root / "glue", "stsb")
        must(*arguments(cls.root / "glue", cls.root / "scores", "--task", "stsb", seeds=1))

    def test_labels_and_probabilities(self):
        lines = must("predict", "--model", self.model, "--json", stdin="the cat sees\nthe dog sees\n\n").text.splitlines()
        self.assertEqual(len(lines), 3)
        for line, text in zip(lines, ["the cat sees", "the dog sees", ""]):
            object_ = json.loads(line)
            self.assertEqual(object_["text"], text)
            self.assertEqual(set(object_["probabilities"]), {"cats", "dogs"})
            self.assertAlmostEqual(sum(object_["probabilities"].values()), 1)
            self.assertEqual(max(object_["probabilities"], key=object_["probabilities"].get), object_["label"])
        plain = must("predict", "--model", self.model, stdin="the cat sees\n").text
        word, chance = plain.rstrip("\n").split("\t")
        first = json.loads(lines[0])
        self.assertEqual(word, first["label"])
        self.assertAlmostEqual(float(chance), first["probabilities"][word], places=3)

    def test_scores_of_pairs(self):
        object_ = must("predict", "--model", self.root / "scores" / "stsb", "--json", stdin="a dog\ta cat\n").json
        self.assertIsNone(object_["label"])
        self.assertIsInstance(object_["score"], float)

    def test_lines_with_another_number_of_texts_are_refused(self):
        pair, single = self.root / "scores" / "stsb", self.model
        for model, line, reason in ((pair, "a dog\n", "takes two texts with a tab between, and 'a dog' is one"),
                                    (single, "a dog\ta cat\n", "takes single texts, and 'a dog")):
            self.assert_fails(self.bertcram("predict", "--model", model, stdin=line), INPUT, model, reason)
        config = self.dir / "model"
        shutil.copytree(pair.resolve(), config)
        words = json.loads((config / "config.json").read_text())
        self.assertEqual(words.pop("bertcram_texts"), 2)
        (config / "config.json").write_text(json.dumps(words))  # as of a folder that others made: nobody knows
        self.assert_ok(self.bertcram("predict", "--model", config, stdin="a dog\na dog\ta cat\n"))

    def test_a_refused_line_is_named_behind_the_answers_to_those_before(self):
        answers = must("predict", "--model", self.model, stdin="the cat sees\nthe dog sees\n").text
        result = self.bertcram("predict", "--model", self.model, stdin="the cat sees\nthe dog sees\nbad\tpair\nthe cat\n")
        self.assertEqual(result.code, INPUT, result)
        self.assertEqual(len(result.error_lines), 1, result)
        self.assertIn(f"line 3 of standard input: --model {self.model} takes single texts, and 'bad?pair' is two", result.err)
        self.assertEqual(result.text, answers)
        more_than_at_once = "the cat\n" * 8200
        many = self.bertcram("predict", "--model", self.model, stdin=more_than_at_once + "bad\tpair\n")
        self.assertEqual(many.code, INPUT, many.err)
        self.assertIn("line 8201 of standard input", many.err)
        self.assertEqual(len(many.text.splitlines()), 8200)

    def test_a_blank_line_is_a_text_without_words_for_models_of_pairs_too(self):
        result = must("predict", "--model", self.root / "scores" / "stsb", "--json", stdin="a dog\ta cat\n\n \t\na\tb\n")
        objects = list(map(json.loads, result.text.splitlines()))
        self.assertEqual([object_["text"] for object_ in objects], ["a dog\ta cat", "", " \t", "a\tb"])
        self.assertTrue(all(isinstance(object_["score"], float) for object_ in objects))
        must("predict", "--model", self.model, stdin="\t\n")

    def test_too_few_tokens_for_two_texts_are_refused_before_any_line(self):
        pair = self.root / "scores" / "stsb"
        self.assert_fails(self.bertcram("predict", "--model", pair, "--max-tokens", 3, stdin="a\tb\n"), USAGE,
                          "--max-tokens 3: no text fits beside [CLS] and two [SEP]; expected at least 4")
        self.assert_ok(self.bertcram("predict", "--model", pair, "--max-tokens", 4, stdin="a\tb\n"))
        self.assert_ok(self.bertcram("predict", "--model", self.model, "--max-tokens", 3, stdin="a\n"))

    def test_order_and_batches_do_not_matter(self):
        texts = [f"the {noun} sees {'the ' * (i % 7)}tree" for i, noun in enumerate(NOUNS * 10)]
        together = must("predict", "--model", self.model, "--precision", "fp32", stdin="\n".join(texts) + "\n").text
        for index in (0, 41, 99):
            alone = must("predict", "--model", self.model, "--precision", "fp32", stdin=texts[index] + "\n").text
            self.assertEqual(together.splitlines()[index], alone.rstrip("\n"))

    def test_other_models_are_refused(self):
        self.assert_fails(self.bertcram("predict", "--model", make_model(), stdin="x\n"), INPUT, "classifier")
        self.assert_fails(self.bertcram("predict", stdin="x\n"), USAGE, "--model")


if __name__ == "__main__":
    unittest.main(verbosity=2)
