"""What the scripts that set up, build and test do with --help and with words for others; what they would start is a stub."""
import shutil
import unittest

from script_support import DONE, ROOT, USAGE, ScriptTest

SCRIPTS = ("quickstart", "test", "build", "wandb_sync")
STUB = '#!/usr/bin/env bash\nprintf "%s\\n" "$(basename "$0")" "$@" >>"$STUB_LOG"\n'


class Help(ScriptTest):
    """A copy of the scripts, so that nothing real is started or made."""

    def setUp(self):
        super().setUp()
        self.log = self.folder / "log"
        for name in ("scripts", "programs"):
            (self.folder / name).mkdir()
        for name in ("lib", *SCRIPTS):
            shutil.copy(ROOT / f"scripts/{name}.sh", self.folder / "scripts")
        self.stub("scripts/setup.sh")
        for name in ("cmake", "ninja", "ctest", "python3"):
            self.stub(f"programs/{name}")

    def stub(self, name):
        (self.folder / name).write_text(STUB)
        (self.folder / name).chmod(0o755)

    def run_copy(self, name, *words):
        """The result and the words with which the stubs were called."""
        self.log.write_text("")
        result = self.run_script("env", f"PATH={self.folder}/programs:/usr/bin:/bin", self.folder / f"scripts/{name}.sh", *words,
                                 STUB_LOG=str(self.log))
        return result, self.log.read_text().split()

    def test_help_prints_the_usage_and_starts_nothing(self):
        before = sorted(self.folder.rglob("*"))
        for name in SCRIPTS:
            for word in ("--help", "-h"):
                with self.subTest(script=name, word=word):
                    result, started = self.run_copy(name, word)
                    self.assert_code(result, DONE)
                    self.assertIn(f"scripts/{name}.sh ", result.stdout)
                    self.assertNotIn("set -", result.stdout)
                    self.assertEqual((started, result.stderr), ([], ""))
        self.assertEqual(sorted({*self.folder.rglob("*")} - {self.log}), before)

    def test_quickstart_takes_no_option_for_a_folder(self):
        for words in (("--output",), ("here", "-x")):
            result, started = self.run_copy("quickstart", *words)
            self.assert_code(result, USAGE)
            self.assertIn(f"unknown argument '{words[-1]}'", result.stderr)
            self.assertEqual(started, [])
            self.assertFalse((self.folder / words[0]).exists())

    def test_other_words_go_to_cmake_and_ctest(self):
        result, started = self.run_copy("build", "-DX=1", "--fresh")
        self.assert_code(result, DONE)
        self.assertEqual(started[started.index("-DX=1"):][:2], ["-DX=1", "--fresh"])
        self.stub("scripts/build.sh")
        result, started = self.run_copy("test", "-L", "unit")
        self.assert_code(result, DONE)
        self.assertEqual(started[:3], ["setup.sh", "--test", "build.sh"])
        self.assertEqual(started[3], "ctest")
        self.assertEqual(started[-2:], ["-L", "unit"])


if __name__ == "__main__":
    unittest.main()
