"""Every command in the README's shell blocks runs: as written, but on a tiny corpus and with a budget of seconds."""
import os
import pathlib
import shlex
import shutil
import subprocess
import unittest

import support

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCRIPTS_WITH_THEIR_OWN_RUN = ("./scripts/quickstart.sh", "./scripts/test.sh")  # CI runs both
# These would download gigabytes; tests/scripts runs them against a server of its own. The files are put in place here.
FETCH_SCRIPTS = ("./scripts/get_corpus.sh ", "./scripts/get_glue.sh ")
# What a command gets on top, or instead, to be over in seconds.
INSTEAD = {"--config base.yaml --budget 24h": "--budget 2s",  # of overnight.sh
           "--budget 15m": "--steps 4", "--vocab-size 32768": "--vocab-size 8192",
           "pretrain --config base.yaml": "pretrain --config base.yaml --steps 2 --set model.hidden=48 --set model.heads=4 --set model.layers=2 "
                                          "--set batch.rows=4 --set batch.start_rows=2"}


def readme_commands():
    """The lines of the ```sh blocks, in order."""
    commands, inside = [], False
    for line in (ROOT / "README.md").read_text(encoding="utf-8").splitlines():
        if line.startswith("```"):
            inside = line == "```sh"
        elif inside and line.strip():
            commands.append(line.strip())
    return commands


def write_glue(folder):
    """The layout of the small tasks that overnight.sh runs, a few rows each."""
    rte = "".join(f"{i}\tThe cat number {i} sat.\tA cat sat.\t{'entailment' if i % 2 else 'not_entailment'}\n"
                  for i in range(24))
    pair = "".join(f"{i % 2}\t{i}\t{i}\tFirst text {i}\tSecond text {i}\n" for i in range(24))
    cola = "".join(f"gj04\t{i % 2}\t\tSentence number {i} here.\n" for i in range(24))
    sst = "".join(f"a fine film {i} \t{i % 2}\n" for i in range(24))
    sts = "".join(f"{i}\tg\tf\t2012\t{i}\tn\tn\tA man {i}.\tA man runs {i}.\t{i % 6}.0\n" for i in range(24))
    headers = {"RTE": ("index\tsentence1\tsentence2\tlabel\n", rte),
               "MRPC": ("Quality\t#1 ID\t#2 ID\t#1 String\t#2 String\n", pair),
               "CoLA": ("", cola), "SST-2": ("sentence\tlabel\n", sst),
               "STS-B": ("index\tgenre\tfilename\tyear\told_index\tsource1\tsource2\tsentence1\tsentence2\tscore\n", sts)}
    for task, (header, rows) in headers.items():
        (folder / task).mkdir(parents=True)
        for split in ("train", "dev"):
            (folder / task / f"{split}.tsv").write_text(header + rows, encoding="utf-8")


class Readme(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(support.tempfile.mkdtemp(prefix="e2e-readme-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        words = [f"{a}{b}{c}" for a in "bdfgklmnprst" for b in "aeiou" for c in ("", "n", "rd", "st", "lt", "mp", "ck")]
        lines = []
        for document in range(400):  # enough different words for the README's vocabulary of 8192
            lines += [" ".join(words[(document * 7 + i * i) % len(words)] + words[(document + i * 13) % len(words)]
                               for i in range(60)) + ".", ""]
        (cls.folder / "texts").mkdir()
        text = cls.folder / "texts/all.txt"
        text.write_text("\n".join(lines), encoding="utf-8")
        subprocess.run(["zstd", "-q", "--rm", text], check=True)
        write_glue(cls.folder / "data/glue")
        (cls.folder / "data/blimp").mkdir()
        (cls.folder / "data/blimp/order.jsonl").write_text('{"sentence_good": "a fine film", "sentence_bad": "film fine a"}\n')
        shutil.copytree(cls.folder / "texts", cls.folder / "data/corpus")
        os.symlink(ROOT / "scripts", cls.folder / "scripts")
        (cls.folder / "build").mkdir()
        os.symlink(support.BINARY.resolve(), cls.folder / "build/bertcram")
        cls.exports = []

    def run_line(self, line):
        for words, instead in INSTEAD.items():
            line = line.replace(words, instead)
        environment = support.environment(BERTCRAM=str(support.BINARY.resolve()))
        return subprocess.run(["bash", "-c", "\n".join([*self.exports, line])], cwd=self.folder, env=environment, capture_output=True, text=True,
                              timeout=support.HUNG_SECONDS)

    def test_every_command_runs_in_order(self):
        commands = [line for line in readme_commands()
                    if line not in SCRIPTS_WITH_THEIR_OWN_RUN and not line.startswith(FETCH_SCRIPTS)]
        self.assertGreaterEqual(len(commands), 8, "the README lost its commands, or this test its way to find them")
        for line in commands:
            if line.startswith("export "):  # holds for the lines below it, as in the reader's shell
                self.exports.append(line)
            with self.subTest(command=line):
                done = self.run_line(line)
                self.assertEqual(done.returncode, 0, f"{line}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
                if "overnight.sh" in line:  # the stub of scripts/test_overnight.py says its width; this is bertcram's word
                    self.assertTrue((self.folder / "runs/night/run/glue-large/results.json").is_file(), "not seen as narrow")

    def test_the_scripts_it_names_exist(self):
        for line in readme_commands():
            script = shlex.split(line)[0]
            if script.startswith("./"):
                self.assertTrue(os.access(ROOT / script, os.X_OK), script)
            if line.startswith(FETCH_SCRIPTS):
                for option in [word for word in shlex.split(line) if word.startswith("--")]:
                    self.assertIn(f"    {option}) ", (ROOT / script).read_text(encoding="utf-8"), line)


if __name__ == "__main__":
    unittest.main()
