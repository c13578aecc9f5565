"""kill -9 at chosen calls of pack and tokenize: the folder then is the old one, the new one, or refused, and the same
command writes exactly what it would have written without the kill. A run without a kill tells which calls there are.
"""

import functools
import json
import random
import re
import shutil
import signal
import unittest

from interruption import CrashTestCase, calls_like, content, recorded, signal_at, wait_until_stopped
from support import (DONE, INPUT, finish, fixtures, make_packed, make_tokenizer, must, pretrain_args, start,
                     text_fixture)


class FolderTestCase(CrashTestCase):
    """A command that writes one folder: cls.old and cls.new are its content before and after, cls.calls the calls that
    lead there, cls.publishing the numbers of those before which the folder is neither."""

    @staticmethod
    def command(output):
        raise NotImplementedError

    @staticmethod
    def prepare(output):
        """Makes what the output folder holds before."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        root = fixtures() / cls.__name__
        root.mkdir()
        cls.prepare(root / "out")
        cls.old = content(root / "out")
        cls.calls = recorded(root, cls.command(root / "out"))
        cls.new = content(root / "out")

    def outside_publishing(self, count):
        return self.drawn(set(range(1, len(self.calls) + 1)) - self.publishing, count)

    def killed_and_repeated(self, numbers):
        for number in sorted(numbers):
            with self.killed_at(self.calls, number):
                shutil.rmtree(self.out, ignore_errors=True)
                self.prepare(self.out)
                self.kill(self.command(self.out), number)
                self.check_killed()
                self.repeat()
                self.assertEqual(content(self.out), self.new, "other bytes than uninterrupted")

    def check_killed(self):
        raise NotImplementedError

    def repeat(self):
        self.assert_ok(self.bertcram(*self.command(self.out)))


# ---- pack ------------------------------------------------------------------------------------------------------------

class PackTestCase(FolderTestCase):

    @staticmethod
    def command(output):
        return ["pack", "--input", text_fixture(), "--tokenizer", make_tokenizer(), "--output", output, "--seq-len", 16,
                "--valid-frac", 0.1, "--threads", 1, "--set", "shard_rows=250", "--overwrite"]

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        first, last = (min(calls_like(cls.calls, f"{what} out/manifest.json")) for what in ("remove", "rename"))
        cls.publishing = set(range(first + 1, last + 1))

    def check_killed(self):
        if (self.out / "manifest.json").exists():
            self.assertIn(content(self.out), (self.old, self.new), "neither the old nor the new data")

    def repeat(self):
        super().repeat()
        self.assert_no_temporaries()


class Pack(PackTestCase):
    """Into a folder that does not exist."""

    def test_the_same_command_makes_the_same_calls(self):
        calls = recorded(self.dir, self.command(self.out))
        self.assertEqual(sorted(calls), sorted(self.calls))

    def test_a_kill_before_or_after_publishing(self):
        self.killed_and_repeated({1, len(self.calls), *self.outside_publishing(3),
                                  *calls_like(self.calls, "remove out/manifest.json")})

    def test_a_kill_while_publishing(self):
        self.killed_and_repeated({sorted(self.publishing)[2], *calls_like(
            self.calls, "remove out/.partial", "rename out/manifest.json")})

    def test_data_that_is_half_published_is_refused(self):
        self.kill(self.command(self.out), 1, f"rename {self.out}/manifest.json")
        self.assertEqual({*content(self.out), "manifest.json"}, {*self.new})
        self.assert_fails(self.bertcram(*pretrain_args(self.out, self.dir / "run")), INPUT, self.out, "that command again")
        self.assert_ok(self.bertcram(*[word for word in self.command(self.out) if word != "--overwrite"]))
        self.assertEqual(content(self.out), self.new)

    def test_sigterm_before_a_document_is_read_leaves_nothing(self):
        stopped = signal_at(1, f"open {self.out}/.work/bucket-7", signal.SIGTERM)
        self.assert_fails(self.bertcram(*self.command(self.out), env=stopped), 128 + signal.SIGTERM, "stopped")
        self.assert_no_output(self.out)
        self.assert_no_temporaries()
        self.repeat()
        self.assertEqual(content(self.out), self.new)

    def test_sigterm_while_publishing_lets_it_finish(self):
        stopped = signal_at(1, f"rename {self.out}/train-00000.bin", signal.SIGTERM)
        self.assert_ok(self.bertcram(*self.command(self.out), env=stopped))
        self.assertEqual(content(self.out), self.new)


class PackGoesOn(CrashTestCase):
    """What an interrupted session has saved is not done again."""

    def setUp(self):
        super().setUp()
        words = [f"word{number % 1000} of line {number}" for number in range(60000)]
        self.texts = [self.dir / f"text{part}.txt" for part in range(3)]
        for part, text in enumerate(self.texts):
            text.write_text("\n\n".join(words[part::3] * 2) + "\n")
        must(*self.command(self.dir / "whole"))
        self.whole = content(self.dir / "whole")

    def command(self, output):
        return ["pack", "--input", *self.texts, "--tokenizer", make_tokenizer(), "--output", output, "--seq-len", 64,
                "--save-every", 1, "--threads", 2]

    def assert_goes_on(self):
        """@return after how many documents"""
        result = self.assert_ok(self.bertcram(*self.command(self.out)))
        found = re.search(r"going on after ([\d,]+) documents", result.err)
        self.assertTrue(found, result)
        self.assertEqual(content(self.out), self.whole)
        self.assertFalse((self.out / ".work").exists(), "work is left behind")
        return int(found[1].replace(",", ""))

    def test_after_kill_9_while_the_state_is_saved(self):
        self.kill(self.command(self.out), 2, f"rename {self.out}/.work/state.json")
        self.assert_goes_on()

    def test_after_kill_9_in_the_second_pass(self):
        self.kill(self.command(self.out), 1, f"open {self.out}/.partial/train-00000.bin*")
        read = json.loads(self.whole["manifest.json"])["counts"]["documents_read"]
        self.assertEqual(self.assert_goes_on(), read, "documents are read again")

    def test_after_sigterm_everything_read_is_saved(self):
        stopped = signal_at(1, f"rename {self.out}/.work/state.json", signal.SIGTERM)
        result = self.bertcram(*self.command(self.out), env=stopped)
        self.assert_fails(result, 128 + signal.SIGTERM, "stopped")
        self.assertRegex(result.err, r"[\d,]+ documents are done and kept in .*; the same command on the same files "
                         "goes on from there")
        self.assert_goes_on()

    def test_work_left_by_a_kill_after_publishing_is_removed(self):
        self.kill(self.command(self.out), 2, f"remove {self.out}/.work/state.json")  # the first one clears the way
        self.assertEqual(content(self.out), self.whole)
        self.assert_ok(self.bertcram(*self.command(self.out)))
        self.assertFalse((self.out / ".work").exists(), "work is left behind")


class PackOverwrite(PackTestCase):
    """Over a folder with other data."""

    @staticmethod
    def prepare(output):
        shutil.copytree(make_packed(), output)

    def test_a_kill_before_or_after_publishing(self):
        self.assertNotEqual(self.old["train-00000.bin"], self.new["train-00000.bin"])
        self.killed_and_repeated({len(self.calls), *self.outside_publishing(2),
                                  *calls_like(self.calls, "remove out/manifest.json")})

    def test_a_kill_while_publishing(self):
        self.killed_and_repeated({min(self.publishing), *calls_like(
            self.calls, "remove out/tokenizer", "rename out/train-00001.bin", "rename out/manifest.json")})


# ---- tokenize --------------------------------------------------------------------------------------------------------

class TokenizeTestCase(FolderTestCase):
    publishing = set()  # its files are renamed to their places one by one

    @staticmethod
    def command(output):
        return ["tokenize", "--input", text_fixture(), "--output", output, "--vocab-size", 200, "--threads", 1,
                "--overwrite"]

    @staticmethod
    @functools.lru_cache(maxsize=None)
    def known_ids():
        """What the two tokenizers make of the text."""
        ids = [must("encode", "--tokenizer", make_tokenizer(size), stdin=text_fixture().read_bytes()).out
               for size in (150, 200)]
        assert ids[0] != ids[1]
        return ids

    def check_killed(self):
        result = self.bertcram("encode", "--tokenizer", self.out, stdin=text_fixture().read_bytes())
        if result.code == DONE:
            self.assertIn(result.out, self.known_ids(), "a mixture of two tokenizers was taken")
        else:
            self.assert_fails(result, INPUT, self.out, ("tokenizer", "that command again"))

    def numbers(self):
        """When everything is staged, the first file is in its place, all but the manifest, and all; and one drawn."""
        return {len(self.calls), *self.outside_publishing(1), *calls_like(
            self.calls, "rename out/.partial/.publish.json", "remove out/manifest.json", "rename out/tokenizer.json",
            "rename out/manifest.json")}


class Tokenize(TokenizeTestCase):
    """Into a folder that does not exist."""

    def test_a_kill_gives_the_same_tokenizer(self):
        self.killed_and_repeated(self.numbers())

    def test_the_command_as_it_was_finishes_what_is_half_published(self):
        command = [word for word in self.command(self.out) if word != "--overwrite"]
        for glob in (f"remove {self.out}/manifest.json", f"rename {self.out}/manifest.json"):
            with self.subTest(killed_at=glob):
                shutil.rmtree(self.out, ignore_errors=True)
                self.kill(command, 1, glob)
                self.assert_ok(self.bertcram(*command))
                self.assertEqual(content(self.out), self.new)

    def test_temporary_files_of_a_killed_session_are_cleared(self):
        self.kill(self.command(self.out), 1, f"rename {self.out}/vocab.txt")
        self.repeat()
        self.assert_no_temporaries()

    def test_sigterm_leaves_nothing(self):
        stopped = signal_at(1, f"mkdir {self.out}", signal.SIGTERM)
        self.assert_fails(self.bertcram(*self.command(self.out), env=stopped), 128 + signal.SIGTERM, "stopped")
        self.assert_no_output(self.out)

    def test_a_signal_while_pieces_are_joined_ends_it(self):
        rng = random.Random(5)
        words = self.dir / "words.txt"  # whose pieces take seconds to join
        words.write_text(" ".join("".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=12)) for _ in range(400_000)))
        for number in (signal.SIGINT, signal.SIGTERM):
            with self.subTest(signal=number):
                process = start("tokenize", "--input", words, "--output", self.out, "--vocab-size", 100_000)
                while (line := process.stderr.readline()) and b" different" not in line:
                    pass  # until the words are counted
                process.send_signal(number)
                result = finish(process)
                self.assert_fails(result, 128 + number, "stopped")
                self.assert_no_output(self.out)

    def test_a_result_that_another_process_made_meanwhile_is_not_made_again(self):
        command = [word for word in self.command(self.out) if word != "--overwrite"]
        process = start(*command, env=signal_at(1, f"mkdir {self.out}", signal.SIGSTOP))
        try:
            wait_until_stopped(process)  # it has seen that there is no result
            self.assert_ok(self.bertcram(*command))
        finally:
            process.send_signal(signal.SIGCONT)
        self.assertIn("nothing to do", self.assert_ok(finish(process)).err)
        self.assertEqual(content(self.out), self.new)


class TokenizeOverwrite(TokenizeTestCase):
    """Over a smaller tokenizer."""

    @staticmethod
    def prepare(output):
        shutil.copytree(make_tokenizer(150), output)

    def test_a_kill_gives_the_new_tokenizer_in_the_end(self):
        self.assertNotEqual(self.old["vocab.txt"], self.new["vocab.txt"])
        self.killed_and_repeated(self.numbers())


if __name__ == "__main__":
    unittest.main(verbosity=2)
