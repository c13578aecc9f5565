"""The configuration: dumps that reproduce themselves, and what wins over what."""

import json
import os
import re
import unittest

from support import E2ETestCase, make_packed, make_tokenizer, pretrain_args, text_fixture


class Configuration(E2ETestCase):

    def dump(self, *args):
        return self.assert_ok(self.bertcram("config", *args)).text

    def value(self, key, *args):
        """One key (a.b) of a dump."""
        section = ""
        for line in self.dump(*args).splitlines():
            match = re.match(r"( *)([a-z0-9_]+):(?: (.*))?$", line)
            if match:
                indent, name, value = match.groups()
                section = section if indent else ""
                if f"{section}{name}" == key:
                    return value
                if value is None:
                    section = name + "."
        self.fail(f"{key} is not in the dump")

    def write(self, name, text):
        (self.dir / name).write_text(text)
        return self.dir / name

    def test_a_dump_given_back_reproduces_itself(self):
        for command in ["pretrain", "finetune-glue", "tokenize", "pack", "eval", "embed", "fill-mask"]:
            with self.subTest(command=command):
                text = self.dump(command)
                self.assertGreater(len(text.splitlines()), 10)
                path = self.write("dump.yaml", text)
                self.assertEqual(self.dump(command, "--config", path), text)

    def test_a_dump_with_odd_values_given_back_reproduces_itself(self):
        for odd in ["a: b # c", "yes", "  spaces ", "quote\"s and \\ back", "12", "ünïcode – ß", "'single'", "null", "~",
                    "- x", "{a}", "#", "tab\tinside"]:
            with self.subTest(odd=odd):
                text = self.dump("pretrain", "--set", f"data={odd}")
                path = self.write("dump.yaml", text)
                self.assertEqual(self.dump("pretrain", "--config", path), text)
                self.assertNotEqual(text, self.dump("pretrain"))

    def test_a_list_given_back_reproduces_itself(self):
        given = self.write("given.yaml", "input: [a.txt, 'b, c.txt', \"it's\"]\n")
        text = self.dump("pack", "--config", given)
        self.assertIn("b, c.txt", text)
        self.assertEqual(self.dump("pack", "--config", self.write("dump.yaml", text)), text)

    def test_every_key_has_its_meaning_above_it(self):
        for command in ["pretrain", "finetune-glue", "tokenize", "pack", "eval", "embed", "fill-mask"]:
            lines = self.dump(command).splitlines()
            self.assertGreater(len(lines), 10)
            for above, line in zip([""] + lines, lines):
                if re.match(r" *[a-z0-9_]+: \S", line):
                    self.assertRegex(above, r"^ *# .+\(.+\)$", line)

    def test_a_later_file_wins_over_an_earlier_one(self):
        first, second = self.write("a.yaml", "seed: 1\nmodel: {hidden: 64}\n"), self.write("b.yaml", "seed: 2\n")
        self.assertEqual(self.value("seed", "--config", first, "--config", second), "2")
        self.assertEqual(self.value("seed", "--config", second, "--config", first), "1")
        self.assertEqual(self.value("model.hidden", "--config", first, "--config", second), "64")

    def test_set_wins_over_files_wherever_it_stands(self):
        path = self.write("a.yaml", "seed: 1\n")
        self.assertEqual(self.value("seed", "--set", "seed=5", "--config", path), "5")
        self.assertEqual(self.value("seed", "--set", "seed=5", "--set", "seed=6"), "6")

    def test_a_dedicated_flag_wins_over_set_and_file(self):
        path = self.write("a.yaml", "seq_len: 64\nvalid_frac: 0.2\n")
        self.assert_ok(self.bertcram("pack", "--seq-len", 16, "--set", "seq_len=24", "--config", path, "--set",
                                     "shard_rows=100", "--input", text_fixture(), "--tokenizer", make_tokenizer(),
                                     "--output", self.dir / "packed"))
        manifest = json.loads((self.dir / "packed" / "manifest.json").read_text())
        self.assertEqual(manifest["seq_len"], 16)       # flag over --set over file
        self.assertEqual(manifest["valid_frac"], 0.2)   # file over default
        self.assertTrue(all(shard["rows"] <= 100 for shard in manifest["shards"]))  # --set over default

    def test_the_run_stores_what_was_resolved(self):
        path = self.write("a.yaml", "seed: 1\noptim: {beta1: 0.8}\n")
        self.assert_ok(self.bertcram(*pretrain_args(make_packed(), self.dir / "run", 3), "--config", path, "--seed", 7))
        stored = self.dir / "run" / "config.yaml"
        self.assertEqual(self.value("seed", "--config", stored), "7")
        self.assertEqual(self.value("optim.beta1", "--config", stored), "0.8")
        self.assertEqual(self.value("model.hidden", "--config", stored), "32")

    def test_the_stored_config_reproduces_the_run(self):
        self.assert_ok(self.bertcram(*pretrain_args(make_packed(), self.dir / "run", 5)))
        self.assert_ok(self.bertcram("pretrain", "--config", self.dir / "run" / "config.yaml", "--output",
                                     self.dir / "again"))
        self.assertEqual((self.dir / "run" / "model" / "model.safetensors").read_bytes(),
                         (self.dir / "again" / "model" / "model.safetensors").read_bytes())

    def test_model_seed_zero_and_one_differ(self):
        self.assert_ok(self.bertcram(*pretrain_args(make_packed(), self.dir / "a", 3), "--seed", 0))
        self.assert_ok(self.bertcram(*pretrain_args(make_packed(), self.dir / "b", 3), "--seed", 1))
        self.assertNotEqual((self.dir / "a" / "model" / "model.safetensors").read_bytes(),
                            (self.dir / "b" / "model" / "model.safetensors").read_bytes())

    def test_runs_latest_points_at_the_newest_run(self):
        for name in ("first", "second"):
            self.assert_ok(self.bertcram(*pretrain_args(make_packed(), self.dir / "runs" / name, 3)))
        self.assertEqual(os.readlink(self.dir / "runs" / "latest"), "second")

    def test_eval_takes_the_latest_run_by_default(self):
        self.assert_ok(self.bertcram(*pretrain_args(make_packed(), "runs/only", 3), cwd=self.dir))
        result = self.assert_ok(self.bertcram("eval", "--data", make_packed(), "--json", cwd=self.dir))
        self.assertGreater(result.json["loss"], 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
