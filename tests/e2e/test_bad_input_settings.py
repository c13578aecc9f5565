"""Bad task data and settings: each mistake has its exit code and one helpful line; nothing is damaged."""

import random
import unittest

from support import (INPUT, RESOURCES, USAGE, E2ETestCase, finetune_args, make_model, make_packed, make_task, must, pretrain_args,
                     sets, text_fixture)


class TaskData(E2ETestCase):
    """Fine-tuning tables and task files."""

    def setUp(self):
        super().setUp()
        self.task = make_task(self.dir / "task")
        self.model = make_model()

    def refused(self, code, *fragments):
        with self.unharmed(self.dir / "task", self.model):
            message = self.assert_fails(self.bertcram(*finetune_args(self.task, self.model, self.dir / "out")), code,
                                        *fragments)
        self.assertFalse((self.dir / "out" / "results.json").exists())
        return message

    def edit(self, name, change):
        path = self.dir / "task" / name
        path.write_text(change(path.read_text()))

    def test_a_row_with_a_missing_column(self):
        self.edit("train.tsv", lambda text:
                  "\n".join(line.split("\t")[0] if n == 4 else line for n, line in enumerate(text.split("\n"))))
        self.refused(INPUT, "train.tsv:5", "columns", "expected 2")

    def test_a_header_without_the_column(self):
        self.edit("train.tsv", lambda text: text.replace("text\tclass", "text\tkind", 1))
        self.refused(INPUT, "train.tsv:1", "class", ("no column", "column"))

    def test_a_column_that_only_the_dev_file_lacks(self):
        self.edit("dev.tsv", lambda text: text.replace("text\tclass", "words\tclass", 1))
        self.refused(INPUT, "dev.tsv:1", "text")

    def test_a_label_that_the_task_does_not_know(self):
        self.edit("dev.tsv", lambda text: "\n".join(
            line.split("\t")[0] + "\thorses" if n == 9 else line for n, line in enumerate(text.split("\n"))))
        self.refused(INPUT, "dev.tsv:10", "horses", "cats", "dogs")

    def test_an_empty_table(self):
        (self.dir / "task" / "train.tsv").write_bytes(b"")
        self.refused(INPUT, "train.tsv", "empty")

    def test_a_table_with_only_a_header(self):
        (self.dir / "task" / "train.tsv").write_bytes(b"text\tclass\n")
        self.refused(INPUT, "train.tsv", ("no examples", "empty"))

    def test_a_missing_table(self):
        (self.dir / "task" / "dev.tsv").unlink()
        self.refused(INPUT, "dev.tsv")

    def test_a_missing_task_file(self):
        self.task = self.dir / "task" / "absent.yaml"
        self.refused(INPUT, "absent.yaml")

    def test_an_unknown_key_of_the_task_file(self):
        self.edit("pets.yaml", lambda text: text.replace("labels:", "lables:"))
        self.refused(USAGE, "pets.yaml:5", "lables", "labels")

    def test_an_unknown_task_has_its_nearest_name(self):
        result = self.bertcram("finetune-glue", "--task", "sst3", "--model", self.model, "--data", self.dir)
        self.assert_fails(result, USAGE, "sst3", "sst2")

    def test_a_missing_glue_folder(self):
        result = self.bertcram("finetune-glue", "--task", "rte", "--model", self.model, "--data", self.dir / "absent",
                               "--output", self.dir / "out")
        self.assert_fails(result, INPUT, "absent")

    def test_all_tasks_of_a_folder_without_any(self):
        (self.dir / "glue").mkdir()
        for word in ("all", "ALL"):
            with self.subTest(task=word):
                self.assert_fails(self.bertcram("finetune-glue", "--task", word, "--model", make_model(), "--data",
                                                self.dir / "glue", "--output", self.dir / "out"), INPUT,
                                  self.dir / "glue", "no GLUE task")
                self.assertFalse((self.dir / "out").exists())

    def test_a_label_that_is_no_utf8(self):
        task = make_task(self.dir / "task")
        for name in ("train.tsv", "dev.tsv"):
            file = self.dir / "task" / name
            file.write_bytes(file.read_bytes().replace(b"\tcats", b"\tcaf\xe9s"))
        task.write_text(task.read_text().replace("labels: [cats, dogs]\n", ""))
        result = self.bertcram(*finetune_args(task, make_model(), self.dir / "out", 1, "--save-models", "all"))
        self.assertIn("pets: 2 labels, collected from train: ", self.assert_ok(result).err)
        self.assert_ok(self.bertcram("eval", "--model", self.dir / "out" / "pets-seed0" / "model", "--task-file", task))

    def test_a_task_and_a_task_file_at_once(self):
        task = make_task(self.dir / "task")
        for words in (("--task", "rte"), ("--task", "all"), ("--set", "task=all")):
            result = self.bertcram(*finetune_args(task, make_model(), self.dir / "out", 1, *words))
            self.assert_fails(result, USAGE, "give --task or --task-file, not both")

    def test_the_way_to_the_data_is_said_where_it_is_missing(self):
        absent = self.dir / "absent"
        out = ("--output", self.dir / "out")
        for command, task, words, code, said in (("finetune-glue", "cola", out, INPUT, f"scripts/get_glue.sh --output {absent}'"),
                                                 ("finetune-glue", "coal", out, USAGE, "did you mean 'cola'"),
                                                 ("eval", "coal", (), USAGE, "did you mean 'cola'")):
            with self.subTest(command=command, task=task):
                self.assert_fails(self.bertcram(command, "--model", make_model(), "--task", task, "--data", absent, *words), code, said)

    def test_eval_of_a_missing_text(self):
        self.assert_fails(self.bertcram("eval", "--model", make_model(), "--text", self.dir / "absent.txt"), INPUT,
                          "--text", "absent.txt")

    def test_eval_of_two_things_at_once(self):
        for more in (["--text", text_fixture()], ["--task-file", make_task(self.dir / "task")]):
            with self.subTest(more=more):
                self.assert_fails(self.bertcram("eval", "--model", make_model(), "--task", "rte", *more), USAGE,
                                  "give one of")

    def test_eval_refuses_options_that_would_be_ignored(self):
        (self.dir / "x.jsonl").write_text('{"sentence_good": "the cat", "sentence_bad": "cat the"}\n')
        task = make_task(self.dir / "task")
        for what in (["--task", "rte"], ["--task-file", task], ["--blimp", self.dir / "x.jsonl"]):
            for more, words in ((["--rows", 1], "--rows is for --data and --text"),
                                (["--set", "rows=1"], "--rows is for --data and --text"),
                                (["--seed", 1, "--mask-prob", 0.2], "--mask-prob, --seed are for --data and --text")):
                with self.subTest(what=what, more=more):
                    self.assert_fails(self.bertcram("eval", "--model", make_model(), *what, *more), USAGE, words)
        (self.dir / "eval.yaml").write_text("rows: 1\n")  # may serve several ways
        self.assert_ok(self.bertcram("eval", "--model", make_model(), "--config", self.dir / "eval.yaml", "--blimp",
                                     self.dir / "x.jsonl"))

    def test_eval_of_a_text_without_a_known_word(self):
        (self.dir / "emoji.txt").write_text("\U0001F600 " * 200, encoding="utf-8")
        self.assert_fails(self.bertcram("eval", "--model", make_model(), "--text", self.dir / "emoji.txt"), INPUT,
                          "emoji.txt", "tokenizer")

    def test_a_glue_folder_without_the_task(self):
        (self.dir / "glue").mkdir()
        result = self.bertcram("finetune-glue", "--task", "rte", "--model", self.model, "--data", self.dir / "glue",
                               "--output", self.dir / "out")
        self.assert_fails(result, INPUT, "RTE")

    def test_eval_of_an_encoder_on_a_task(self):
        result = self.bertcram("eval", "--task-file", self.task, "--model", self.model, "--threads", 1)
        self.assert_fails(result, INPUT, self.model, "finetune-glue")

    def test_eval_of_a_classifier_on_masked_tokens(self):
        must(*finetune_args(self.task, self.model, self.dir / "out", 1, "--save-models", "all"))
        (classifier,) = {path.parent for path in (self.dir / "out").rglob("model.safetensors")}
        result = self.bertcram("eval", "--model", classifier, "--data", make_packed(), "--threads", 1)
        self.assert_fails(result, INPUT, "classifier")

    def test_eval_of_a_classifier_with_other_labels(self):
        must(*finetune_args(self.task, self.model, self.dir / "out", 1, "--save-models", "all"))
        (classifier,) = {path.parent for path in (self.dir / "out").rglob("model.safetensors")}
        self.edit("pets.yaml", lambda text: text.replace("[cats, dogs]", "[birds, fish]"))
        for file in ("train.tsv", "dev.tsv"):
            self.edit(file, lambda text: text.replace("\tcats", "\tbirds").replace("\tdogs", "\tfish"))
        result = self.bertcram("eval", "--model", classifier, "--task-file", self.task, "--threads", 1)
        self.assert_fails(result, INPUT, ("birds", "label"))


class ConfigErrors(E2ETestCase):
    """YAML files and overrides."""

    def config(self, text, *more, lines=1, code=USAGE, fragments=(), command=("config", "pretrain")):
        path = self.dir / "small.yaml"
        path.write_text(text)
        return self.assert_fails(self.bertcram(*command, "--config", path, *more), code, *fragments, lines=lines)

    def test_an_unknown_key_has_file_line_and_nearest_name(self):
        self.config("seed: 1\nmask:\n  mask_prop: 0.2\n", fragments=["small.yaml:3", "mask.mask_prop", "mask.mask_prob"])

    def test_a_duplicate_key(self):
        self.config("seed: 1\nmodel:\n  hidden: 64\nseed: 2\n", fragments=["small.yaml:4", "seed", "duplicate"])

    def test_a_wrong_type(self):
        self.config("seed: 1\nmodel:\n  hidden: wide\n", fragments=["small.yaml:3", "model.hidden", "wide", "whole number"])

    def test_a_value_out_of_range(self):
        self.config("mask:\n  mask_prob: 1.5\n", fragments=["small.yaml:2", "mask.mask_prob", "1.5", "0.9"])

    def test_a_word_that_is_no_choice(self):
        self.config("schedule:\n  anneal: linaer\n", fragments=["small.yaml:2", "linaer", "linear"])

    def test_a_list_where_a_number_is_expected(self):
        self.config("seed: [1, 2]\n", fragments=["small.yaml:1", "seed"])

    def test_a_value_where_a_section_is_expected(self):
        self.config("model: 12\n", fragments=["small.yaml:1", "model"])

    def test_broken_yaml(self):
        self.config("seed: 1\nmodel: {hidden: 3\n", fragments=["small.yaml:", "YAML"])

    def test_binary_garbage_as_yaml(self):
        path = self.dir / "garbage.yaml"
        path.write_bytes(random.Random(3).randbytes(3000))
        self.assert_fails(self.bertcram("config", "--config", path), USAGE, "garbage.yaml")

    def test_a_second_yaml_document(self):
        self.config("mask:\n  mask_prob: 0.2\n---\nmask:\n  mask_prob: 0.3\n", fragments=["small.yaml:3", "second document"])

    def test_a_list_as_the_whole_yaml(self):
        self.config("- 1\n- 2\n", fragments=["small.yaml:1", "key"])

    def test_a_map_as_a_key(self):
        self.config("? {a: b}\n: 3\n", fragments=["small.yaml:1"])

    def test_an_empty_file_changes_nothing(self):
        path = self.dir / "empty.yaml"
        path.write_text("")
        self.assertEqual(self.assert_ok(self.bertcram("config", "--config", path)).out,
                         self.assert_ok(self.bertcram("config")).out)

    def test_a_missing_config(self):
        self.assert_fails(self.bertcram("config", "--config", self.dir / "absent.yaml"), USAGE, "absent.yaml")

    def test_all_problems_of_files_and_overrides_are_told_at_once(self):
        self.config("mask:\n  mask_prop: 0.2\nmodel:\n  hidden: wide\noptim:\n  beta1: 7\n", "--set", "batch.row=4",
                    "--set", "seed=-3", lines=5,
                    fragments=["small.yaml:2", "small.yaml:4", "small.yaml:6", "batch.row", "seed=-3"])

    def test_all_contradictions_are_told_at_once(self):
        result = self.bertcram("pretrain", "--data", make_packed(), "--output", self.dir / "run",
                               *sets(model__hidden=30, model__heads=4, mask__mask_share=0.8, mask__random_share=0.4))
        self.assert_fails(result, USAGE, "model.hidden", "exceed 1", "--steps", lines=3)
        self.assertFalse((self.dir / "run").exists())

    def test_a_set_without_a_value(self):
        self.assert_fails(self.bertcram("config", "--set", "seed"), USAGE, "seed", "KEY=VALUE")

    def test_a_budget_that_is_no_duration(self):
        result = self.bertcram("pretrain", "--data", make_packed(), "--output", self.dir / "run", "--budget", "5 parsecs")
        self.assert_fails(result, USAGE, "5 parsecs", ("100h", "15m"))

    def test_a_budget_without_a_unit(self):
        result = self.bertcram("pretrain", "--data", make_packed(), "--output", self.dir / "run", "--budget", "15")
        self.assert_fails(result, USAGE, "15s, 15m or 15h")

    def test_a_second_value_of_an_option_that_takes_one(self):
        for arguments in (["eval", "--model", "one", "two", "--data", make_packed()],
                          ["pretrain", "--data", make_packed(), "other", "--output", self.dir / "run", "--steps", 1]):
            with self.subTest(arguments=arguments):
                self.assert_fails(self.bertcram(*arguments), USAGE, ("two", "other"))
        self.assertFalse((self.dir / "run").exists())

    def test_an_unknown_option_names_the_help_of_its_command(self):
        result = self.bertcram("pretrain", "--learning-rate", "1e-6")
        self.assert_fails(result, USAGE, "unknown option '--learning-rate'", "'bertcram pretrain --help'", "--set KEY=VALUE")
        self.assert_fails(self.bertcram("encode", "--zzzzzzzz"), USAGE, "'bertcram encode --help'")

    def test_speed_in_fp16_on_a_cpu_is_not_measured(self):
        for command in ("bench", "plan"):
            with self.subTest(command=command):
                result = self.bertcram(command, "--config", "tiny.yaml", "--precision", "fp16", "--device", "cpu")
                self.assert_fails(result, USAGE, "fp16 on a CPU")

    def test_a_temporary_folder_that_is_none(self):
        (self.dir / "text.txt").write_text("some words\n")
        self.tmp.rmdir()
        result = self.bertcram("eval", "--model", make_model(), "--text", self.dir / "text.txt")
        self.tmp.mkdir()
        self.assert_fails(result, RESOURCES, self.tmp, "TMPDIR")

    def test_rows_longer_than_the_model(self):
        result = self.bertcram(*pretrain_args(make_packed(), self.dir / "run", model__max_positions=16))
        self.assert_fails(result, (USAGE, INPUT), "max_positions", "16", "32", "--set model.max_positions=32, or pack with --seq-len 16")
        packed = make_packed(seq_len=64)
        result = self.bertcram("eval", "--model", make_model(), "--data", packed)
        self.assert_fails(result, INPUT, "rows of 64 tokens, the model takes 32", "pack the text again with --seq-len 32")

    def test_missing_required_flags_are_named(self):
        for command, flag in {"tokenize": "--input", "pack": "--input", "pretrain": "--data", "encode": "--tokenizer"}.items():
            with self.subTest(command=command):
                self.assert_fails(self.bertcram(command), USAGE, flag, lines=None)


if __name__ == "__main__":
    unittest.main(verbosity=2)
