"""scripts/bundle.sh: what it packs runs where there are neither the checkout nor its packages (tests/tools/elsewhere.sh)."""
import json
import pathlib
import shutil
import subprocess
import tarfile
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
ELSEWHERE = ROOT / "tests" / "tools" / "elsewhere.sh"
ARCHIVE_BYTES = 60 << 20
FOLDER_BYTES = 64 << 20

# Tokens, rows, a model and a fine-tuned model, each from what the step before wrote; LibTorch is found by the launcher.
CHAIN = r"""
set -e
cd "$1"
bertcram="$2/bertcram"
"$bertcram" --version
"$bertcram" --quiet tokenize --input text.txt --output tokenizer --vocab-size 200
"$bertcram" --quiet pack --input text.txt --tokenizer tokenizer --output packed --seq-len 32 --valid-frac 0.1
"$bertcram" --quiet pretrain --config tiny.yaml --data packed --output run --steps 3 --threads 1 --device cpu
"$bertcram" --quiet finetune-glue --model run/model --task-file task/task.yaml --output scores --seeds 1 --epochs 1 --threads 1 --device cpu
"$bertcram" --quiet eval --model run/model --data packed --threads 1 --device cpu --json
"""


def run(*words, **options):
    return subprocess.run([str(word) for word in words], capture_output=True, text=True, **options)


class Bundle(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="bertcram-bundle-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        cls.built = cls.folder / "bundle"
        done = run(ROOT / "scripts" / "bundle.sh", cls.built)
        if done.returncode != 0:
            raise RuntimeError(done.stderr)
        cls.archive = cls.folder / "bundle.tar.gz"
        cls.unpacked = cls.folder / "another place" / "bundle"
        with tarfile.open(cls.archive) as archive:
            archive.extractall(cls.unpacked.parent)

    def elsewhere(self, *words):
        if run("unshare", "--mount", "--map-root-user", "true").returncode != 0:
            self.skipTest("no right to make a mount namespace")
        return run(ELSEWHERE, ROOT, self.folder / "site", self.unpacked, *words)

    def test_is_small_enough_to_carry(self):
        self.assertLess(self.archive.stat().st_size, ARCHIVE_BYTES)
        self.assertLess(sum(path.lstat().st_size for path in self.built.rglob("*")), FOLDER_BYTES)

    def test_holds_nothing_of_libtorch_cuda_or_the_c_library(self):
        names = [path.name for path in (self.unpacked / "lib").iterdir()]
        self.assertIn("libfmt.so.9", names)
        for prefix in ("libtorch", "libc10", "libcud", "libcublas", "libc.so", "libm.so", "ld-linux", "libpthread"):
            self.assertFalse([name for name in names if name.startswith(prefix)], prefix)

    def test_the_same_build_gives_the_same_bytes(self):
        again = self.folder / "again" / "bundle"
        done = run(ROOT / "scripts" / "bundle.sh", again)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(again.with_name("bundle.tar.gz").read_bytes(), self.archive.read_bytes())

    def test_does_not_replace_what_is_no_bundle(self):
        mine = self.folder / "mine"
        mine.mkdir()
        (mine / "thesis.txt").write_text("years")
        self.assertEqual(run(ROOT / "scripts" / "bundle.sh", mine).returncode, 2)
        self.assertTrue((mine / "thesis.txt").exists())

    def test_goes_from_text_to_scores_elsewhere(self):
        work = self.folder / "work"
        (work / "task").mkdir(parents=True)
        (work / "text.txt").write_text("".join(f"a red bird {i} sings .\nthe blue fish {i} swims .\n\n" for i in range(200)))
        lines = "".join(f"a red bird {i} sings\t1\nthe blue fish {i} swims\t0\n" for i in range(20))
        for split in ("train", "dev"):
            (work / "task" / f"{split}.tsv").write_text(f"sentence\tlabel\n{lines}")
        (work / "task" / "task.yaml").write_text(
            "name: birds\ntrain: train.tsv\ndev: dev.tsv\nformat: tsv\nheader: yes\n"
            "columns: {sentence1: sentence, label: label}\nmetric: accuracy\n")
        done = self.elsewhere("bash", "-c", CHAIN, "chain", work, self.unpacked)
        self.assertEqual(done.returncode, 0, f"{done.stdout}\n{done.stderr}")
        self.assertIn("loss", json.loads(done.stdout.splitlines()[-1]))
        self.assertTrue((work / "scores" / "results.json").exists())

    def test_its_tests_run_elsewhere(self):
        done = self.elsewhere("bash", "-c", 'LD_LIBRARY_PATH="$BERTCRAM_TORCH_DIR/lib" "$0" --gtest_filter="Functional.*:Presets.*"',
                              self.unpacked / "build" / "torch_tests")
        self.assertEqual(done.returncode, 0, f"{done.stdout}\n{done.stderr}")
        self.assertIn("[  PASSED  ]", done.stdout)

    def test_another_version_of_libtorch_is_refused(self):
        other = self.folder / "other"
        (other / "lib").mkdir(parents=True)
        (other / "lib" / "libtorch_cpu.so").touch()
        (other / "version.py").write_text("__version__ = '2.10.1+cpu'\n")
        done = run("env", f"BERTCRAM_TORCH_DIR={other}", self.unpacked / "scripts" / "gpu_check.sh", "--cpu")
        self.assertEqual(done.returncode, 4, done.stderr)
        self.assertIn("LibTorch 2.10", done.stderr)
        self.assertIn("2.11", done.stderr)


if __name__ == "__main__":
    unittest.main()
