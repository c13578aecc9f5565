"""Scripts on machines that are not Debian 12 in English: another clang-format, and numbers with a comma."""
import shutil
import subprocess
import unittest

from script_support import DONE, RESOURCES, ROOT, ScriptTest


class UnlikeOurs(ScriptTest):
    """A copy of the scripts; the programs that they start are stubs."""

    def setUp(self):
        super().setUp()
        (self.folder / "scripts").mkdir()
        for name in ("lib", "format", "quickstart"):
            shutil.copy(ROOT / f"scripts/{name}.sh", self.folder / "scripts")

    def stub(self, name, lines):
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/bash\n{lines}\n")
        path.chmod(0o755)

    def format_with(self, program, version, *words):
        """Of a machine with no other clang-format than this one, which finds fault with everything."""
        self.stub(f"programs/{program}", f'[ "$1" != --version ] || {{ echo "clang-format version {version}"; exit 0; }}\nexit 1')
        for name in ("bash", "basename", "dirname", "find", "xargs"):
            (self.folder / "programs" / name).unlink(missing_ok=True)
            (self.folder / "programs" / name).symlink_to(shutil.which(name))
        (self.folder / "src").mkdir(exist_ok=True)
        (self.folder / "src" / "a.cpp").touch()
        result = self.run_script("bash", self.folder / "scripts/format.sh", *words, PATH=str(self.folder / "programs"))
        (self.folder / "programs" / program).unlink()
        return result

    def test_a_check_with_another_clang_format_is_skipped_and_says_so(self):
        result = self.format_with("clang-format", "18.1.3 (1ubuntu1)", "--check")
        self.assert_code(result, DONE)
        self.assertIn("skipped: the sources are formatted with clang-format 14, and this is clang-format version 18.1.3",
                      result.stderr)
        self.assertNotEqual(self.format_with("clang-format", "18.1.3").returncode, DONE, "it formats all the same")
        for program in ("clang-format", "clang-format-14"):
            self.assertNotEqual(self.format_with(program, "14.0.6", "--check").returncode, DONE, "it does check")
        self.assert_code(self.format_with("another-program", "14.0.6", "--check"), RESOURCES)

    def test_quickstart_prints_its_scores_where_numbers_have_a_comma(self):
        locales = self.folder / "locales"
        locales.mkdir()
        made = shutil.which("localedef") and subprocess.run(["localedef", "-i", "de_DE", "-f", "UTF-8", locales / "de_DE.UTF-8"],
                                                            capture_output=True, check=False)
        if not (locales / "de_DE.UTF-8").exists():
            self.skipTest(f"no German locale can be made here: {made.stderr if made else 'there is no localedef'}")
        for name in ("setup", "build", "wordnet_data"):
            self.stub(f"scripts/{name}.sh", "")
        self.stub("build/bertcram", 'while [ $# -gt 0 ]; do [ "$1" != --output ] || out=$2; shift; done\n'
                                    'mkdir -p "$out"; printf \'    "median": 57.46,\\n\' >"$out/results.json"')
        result = self.run_script("bash", self.folder / "scripts/quickstart.sh", self.folder / "out", LC_ALL="de_DE.UTF-8",
                                 LOCPATH=str(locales))
        self.assert_code(result, DONE)
        self.assertRegex(result.stdout, r"from the pretrained encoder +57\.5\n")
        self.assertRegex(result.stdout, r"from random weights, same model +57\.5\n")
        self.assertNotIn("printf", result.stderr)


if __name__ == "__main__":
    unittest.main()
