"""src/util/write_commit.cmake: the commit that `bertcram --version` shows, looked up with every build."""
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]


class Commit(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="bertcram-commit-"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.source = self.folder / "source"
        self.source.mkdir()
        self.header = self.folder / "commit.h"

    def git(self, *words):
        return subprocess.run(["git", "-C", self.source, "-c", "user.name=t", "-c", "user.email=t@example.org", *words],
                              check=True, capture_output=True, text=True).stdout.strip()

    def commit(self, content):
        (self.source / "file").write_text(content)
        self.git("add", "file")
        self.git("commit", "-q", "-m", content)
        return self.git("rev-parse", "--short=12", "HEAD")

    def written(self):
        subprocess.run(["cmake", f"-DSOURCE={self.source}", f"-DOUTPUT={self.header}", "-P",
                        ROOT / "src/util/write_commit.cmake"], check=True)
        return self.header.read_text().split('"')[1]

    def test_names_the_newest_commit_and_whether_tracked_files_differ_from_it(self):
        self.git("init", "-q")
        first = self.commit("one")
        self.assertEqual(self.written(), first)
        second = self.commit("two")
        self.assertNotEqual(second, first)
        self.assertEqual(self.written(), second)
        (self.source / "untracked").write_text("a note")
        self.assertEqual(self.written(), second)
        (self.source / "file").write_text("three")
        self.assertEqual(self.written(), f"{second}-dirty")
        (self.source / "file").write_text("two")
        self.assertEqual(self.written(), second)

    def test_a_tag_does_not_take_the_commits_place(self):
        self.git("init", "-q")
        first = self.commit("one")
        self.git("tag", "-a", "-m", "release", "v1")
        self.assertEqual(self.written(), first)

    def test_leaves_the_header_alone_when_nothing_changed(self):
        self.git("init", "-q")
        self.commit("one")
        self.written()
        os.utime(self.header, (1, 1))
        self.written()
        self.assertEqual(self.header.stat().st_mtime, 1)

    def test_is_unknown_outside_a_checkout_of_its_own(self):
        self.assertEqual(self.written(), "unknown")
        self.git("init", "-q", self.folder)
        self.commit("a file of ours in another repository")
        self.assertEqual(self.written(), "unknown")


if __name__ == "__main__":
    unittest.main()
