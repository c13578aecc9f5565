"""scripts/overnight.sh: what it gives to the commands of its chain, which are a stub here; e2e's test_readme runs it with bertcram."""
import json
import unittest

from script_support import DONE, INPUT, USAGE, ScriptTest

TASKS = ("RTE", "MRPC", "CoLA", "STS-B", "SST-2")
# Logs its arguments, and says the width that it finds in the configuration.
STUB = """#!/usr/bin/env python3
import json, os, sys
words = sys.argv[1:]
with open(os.environ["STUB_LOG"], "a") as log:
    log.write(json.dumps(words) + "\\n")
if words[:2] == ["config", "pretrain"]:
    print("model:\\n  # width (integer)\\n  hidden: " + open(words[words.index("--config") + 1]).read())
"""


def values(words, option):
    """What follows an option, up to the next one."""
    at = words.index(option) + 1
    return words[at:next((i for i in range(at, len(words)) if words[i].startswith("--")), len(words))]


class Overnight(ScriptTest):
    def setUp(self):
        super().setUp()
        self.log = self.folder / "log"
        self.write("stub", STUB).chmod(0o755)
        self.write("small.yaml", "256")
        self.write("large.yaml", "768")
        self.write("a.txt", "text")
        for task in TASKS:
            for split in ("train", "dev"):
                self.write(f"glue/{task}/{split}.tsv", "")

    def write(self, name, text):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def overnight(self, *words, text=("--text", "a.txt"), config="small.yaml"):
        self.log.write_text("")
        return self.script("overnight.sh", *text, "--glue", "glue", "--output", "out", "--config", config, *words,
                           BERTCRAM=str(self.folder / "stub"), STUB_LOG=str(self.log))

    def calls(self, command):
        return [words for words in map(json.loads, self.log.read_text().splitlines()) if words[0] == command]

    def finished(self, *words, **more):
        self.assert_code(self.overnight(*words, **more), DONE)

    def test_paths_may_have_spaces(self):
        odd = ("dir with ünicode/my file.txt", "dir with ünicode/other file.txt")
        for name in (*odd, "b.txt", "c[1].txt"):
            self.write(name, "text")
        for text, expected in ((("--text", odd[0]), odd[:1]),
                               (("--text", "dir with ünicode/*.txt"), odd),
                               (("--text", odd[1], "--text", "a.txt", "--text", "c[1].txt"), (odd[1], "a.txt", "c[1].txt")),
                               (("--text", "[ab].txt c*.txt"), ("a.txt", "b.txt", "c[1].txt")),
                               (("--text", "a.txt b.txt"), ("a.txt", "b.txt"))):
            with self.subTest(text=text):
                self.finished("--heldout", odd[0], "--heldout", "b.txt", text=text)
                self.assertEqual(values(self.calls("pack")[0], "--input"), list(expected))
                self.assertEqual(values(self.calls("tokenize")[0], "--input"), list(expected))
                self.assertEqual([values(words, "--text") for words in self.calls("eval")], [[odd[0]], ["b.txt"]])
        self.finished("--heldout", "")
        self.assertEqual(self.calls("eval"), [])
        self.finished("--tokenizer-text", odd[1])
        self.assertEqual(values(self.calls("tokenize")[0], "--input"), [odd[1]])
        self.assertEqual(values(self.calls("pack")[0], "--input"), ["a.txt"])

    def test_only_narrow_models_get_the_rate_of_finetune_mini(self):
        for config, words, expected in (("small.yaml", (), "finetune-mini.yaml"), ("large.yaml", (), None),
                                        ("small.yaml", ("--finetune-config", ""), None),
                                        ("large.yaml", ("--finetune-config", "own.yaml"), "own.yaml")):
            with self.subTest(config=config, words=words):
                self.finished(*words, config=config)
                runs = self.calls("finetune-glue")
                self.assertEqual(len(runs), 4)
                for run in runs:
                    self.assertEqual(values(run, "--config") if "--config" in run else [None], [expected])

    def test_tasks_of_equal_rules_share_a_folder(self):
        for config, words, folders, epochs in (
                ("small.yaml", (), {"run/glue", "run/glue-large", "glue-random", "glue-random-large"}, ["2"]),
                ("small.yaml", ("--finetune-config", "finetune-mini.yaml"), {"run/glue", "glue-random"}, None),
                ("large.yaml", (), {"run/glue", "glue-random"}, None)):
            with self.subTest(config=config, words=words):
                self.finished(*words, config=config)
                runs = self.calls("finetune-glue")
                self.assertEqual({values(run, "--output")[0] for run in runs}, {f"out/{name}" for name in folders})
                for run in runs:
                    is_large = values(run, "--task") == ["sst2"]
                    self.assertEqual(values(run, "--seeds"), ["1" if is_large else "3"])
                    self.assertEqual(values(run, "--epochs") if "--epochs" in run else None, epochs if is_large else None)
        self.finished("--small", "", config="large.yaml")
        self.assertEqual([values(run, "--task") for run in self.calls("finetune-glue")], [["sst2"]] * 2)

    def test_the_budget_is_the_configurations_own_unless_told(self):
        for budget, words, expected in (('time: ""\n  steps: 0', (), ["15m"]), ("time: 100h\n  steps: 0", (), None),
                                        ('time: ""\n  steps: 20', (), None), ("time: 100h", ("--budget", "8h"), ["8h"])):
            with self.subTest(budget=budget, words=words):
                self.write("own.yaml", f"256\nbudget:\n  {budget}\nschedule:\n  time: 3")
                self.finished(*words, config="own.yaml")
                (run,) = self.calls("pretrain")
                self.assertEqual(values(run, "--budget") if "--budget" in run else None, expected)

    def test_packing_has_a_configuration_of_its_own(self):
        self.finished("--pack-config", "filters.yaml")
        self.assertEqual(values(self.calls("pack")[0], "--config"), ["filters.yaml"])
        self.assertIn(["config", "pack", "--config", "filters.yaml"], self.calls("config"))

    def test_the_vocabulary_fits_the_model_and_the_folder(self):
        tokenizer = self.folder / "out/tokenizer/manifest.json"
        for config, words, there, expected in (("small.yaml", (), "", "8192"), ("large.yaml", (), "", "32768"),
                                               ("large.yaml", ("--vocab-size", "16000"), "", "16000"),
                                               ("large.yaml", (), '{\n "version": 1,\n "vocab_size": 9000\n}\n', "9000"),
                                               ("small.yaml", ("--vocab-size", "16000"), '{"vocab_size":9000}', "16000")):
            with self.subTest(config=config, words=words, there=there):
                if there:
                    self.write("out/tokenizer/manifest.json", there)
                self.finished(*words, config=config)
                self.assertEqual(values(self.calls("tokenize")[0], "--vocab-size"), [expected])
                tokenizer.unlink(missing_ok=True)

    def test_base_yaml_is_packed_as_it_asks_unless_told(self):
        self.write("base.yaml", "768")
        for config, words, filtered, own in (("base.yaml", (), ["0.25"], None), ("./base.yaml", (), ["0.25"], None),
                                             ("base.yaml", ("--pack-config", ""), None, None),
                                             ("base.yaml", ("--pack-config", "own.yaml"), None, ["own.yaml"]),
                                             ("large.yaml", (), None, None)):
            with self.subTest(config=config, words=words):
                self.finished(*words, config=config)
                (pack,) = self.calls("pack")
                for option, expected in (("--max-tokens-per-char", filtered), ("--config", own)):
                    self.assertEqual(values(pack, option) if option in pack else None, expected)

    def test_a_change_of_the_configuration_is_for_the_training_alone(self):
        for words, expected in (((), 0), (("--allow-config-change", "--budget", "20h"), 1),
                                (("--budget", "20h", "--allow-config-change"), 1)):
            with self.subTest(words=words):
                self.finished(*words)
                (run,) = self.calls("pretrain")
                self.assertEqual(run.count("--allow-config-change"), expected)
                everything = [word for call in map(json.loads, self.log.read_text().splitlines()) for word in call]
                self.assertEqual(everything.count("--allow-config-change"), expected)
                self.assertEqual(values(run, "--budget"), ["20h" if words else "15m"])

    def refused(self, code, words, expected):
        result = self.overnight(*words)
        self.assert_code(result, code)
        self.assertIn(expected, result.stderr)
        self.assertEqual(self.log.read_text(), "")

    def test_missing_task_data_is_found_before_the_training(self):
        (self.folder / "glue/RTE/dev.tsv").unlink()
        self.refused(INPUT, ("--glue", "none"), "--glue none: no such folder; scripts/get_glue.sh --output none fetches")
        self.refused(INPUT, (), "glue/RTE: no dev.tsv of rte, which --small names")
        self.refused(INPUT, ("--small", "all"), "glue/RTE: no dev.tsv of RTE")  # as finetune-glue does
        self.finished("--small", "mrpc, SST_2")
        self.write("glue/RTE/val.jsonl", "")
        self.finished()
        self.refused(INPUT, ("--large", "sst2,qnli"), "--glue glue: no folder for qnli, which --large names")
        self.refused(USAGE, ("--large", "rtee"), "--large: 'rtee' is no GLUE task")
        self.refused(USAGE, ("--large", "sst2,"), "--large: '' is no GLUE task")
        (self.folder / "glue/SST-2/train.tsv").unlink()
        self.refused(INPUT, (), "glue/SST-2: no train.tsv of sst2, which --large names")
        self.finished("--small", "all", "--large", "")  # what has no training set is left out
        for name in ("train.jsonl", "dev_matched.tsv"):
            self.write(f"glue/mnli/{name}", "")
        self.refused(INPUT, ("--large", "mnli"), "glue/mnli: no dev_mismatched.tsv of mnli")
        self.write("glue/mnli/dev_mismatched.jsonl", "")
        self.finished("--large", "mnli")
        for split in ("train", "dev"):
            (self.folder / f"glue/MRPC/{split}.tsv").unlink()
        self.write("glue/MRPC/msr_paraphrase_train.txt", "")
        self.refused(INPUT, ("--large", ""), "glue/MRPC: no train.tsv of mrpc")
        self.write("glue/MRPC/dev_ids.tsv", "")
        self.finished("--large", "")
        self.write("empty/readme.txt", "")
        self.refused(INPUT, ("--glue", "empty", "--small", "all"), "--glue empty: no task with a training set")


if __name__ == "__main__":
    unittest.main()
