"""The command line: help, versions, misspellings, streams."""

import json
import os
import pathlib
import re
import shlex
import signal
import subprocess
import unittest

from support import (BINARY, COMMANDS, HUNG_SECONDS, RESOURCES, USAGE, E2ETestCase, environment,
                     finetune_args, finish, kill, make_packed, make_task, make_tokenizer, pretrain_args, start, stop_after,
                     text_fixture)

POLL_CALLS = {"7", "271"}  # poll and ppoll on x86-64


def waits_in_poll(pid):
    """Whether a thread of the process sleeps in poll()."""
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        try:
            if (task / "syscall").read_text().split()[0] in POLL_CALLS:
                return True
        except OSError:
            pass
    return False


class WithoutLibTorch(E2ETestCase):
    """The executable alone, without the module that holds LibTorch."""

    def test_text_is_read_and_training_says_what_is_missing(self):
        alone = self.copy(BINARY)
        self.assert_ok(self.bertcram("--version", binary=alone))
        encoded = self.bertcram("encode", "--tokenizer", make_tokenizer(), stdin="a word\n", binary=alone)
        self.assertEqual(self.assert_ok(encoded).text, self.bertcram("encode", "--tokenizer", make_tokenizer(),
                                                                     stdin="a word\n").text)
        self.assert_fails(self.bertcram("eval", "--model", self.dir, "--data", make_packed(), binary=alone), RESOURCES,
                          "LibTorch", "libbertcram_training.so", "build.sh")

    def test_commands_for_text_do_not_load_it(self):
        env = dict(environment(), LD_DEBUG="libs", LD_DEBUG_OUTPUT=str(self.dir / "loaded"))
        self.assert_ok(self.bertcram("encode", "--tokenizer", make_tokenizer(), stdin="a word\n", env=env))
        loaded = "".join(path.read_text() for path in self.dir.glob("loaded.*"))
        self.assertIn("libspdlog", loaded)
        self.assertNotIn("libtorch", loaded)


class Help(E2ETestCase):

    def test_version_is_one_line(self):
        result = self.assert_ok(self.bertcram("--version"))
        self.assertRegex(result.text, r"^bertcram \d+\.\d+\.\d+ .*LibTorch 2\.\d+.*\n$")
        self.assertEqual(result.err, "")

    def test_help_lists_every_command(self):
        result = self.assert_ok(self.bertcram("--help"))
        for command in COMMANDS:
            self.assertRegex(result.text, rf"(?m)^  {command} +\S")
        self.assertEqual(result.err, "")

    def test_every_command_shows_an_example(self):
        for command in COMMANDS:
            with self.subTest(command=command):
                result = self.assert_ok(self.bertcram(command, "--help"))
                self.assertRegex(result.text, rf"Example:\n.*bertcram {command} ")
                self.assertEqual(result.err, "")

    def test_examples_name_only_options_that_exist(self):
        for command in COMMANDS:
            text = self.bertcram(command, "--help").text
            options, example = text.split("Example:")
            for option in re.findall(r"--[a-z-]+", example):
                with self.subTest(command=command, option=option):
                    self.assertIn(option, options)

    def test_dash_h_is_the_same_help(self):
        for command in COMMANDS:
            with self.subTest(command=command):
                text = self.assert_ok(self.bertcram(command, "-h")).text
                self.assertIn("Usage", text)
                self.assertEqual(self.bertcram(command, "--help").text, text)

    def test_options_of_all_commands_are_in_the_help_of_each(self):
        for command in COMMANDS:
            with self.subTest(command=command):
                self.assertIn("--quiet, --verbose, --log-file FILE", self.bertcram(command, "--help").text)

    def test_the_help_of_all_shows_an_example(self):
        self.assertRegex(self.assert_ok(self.bertcram("--help")).text, r"Example:\n  bertcram pretrain ")

    def test_help_as_a_word_is_the_same_help(self):
        self.assertEqual(self.assert_ok(self.bertcram("help")).text, self.bertcram("--help").text)
        self.assertEqual(self.assert_ok(self.bertcram("help", "pretrain")).text, self.bertcram("pretrain", "--help").text)
        self.assert_fails(self.bertcram("help", "pretain"), USAGE, "'pretain'", "did you mean 'pretrain'")

    def test_a_default_in_the_help_is_shown_once(self):
        text = self.bertcram("tokenize", "--help").text
        self.assertEqual(text.count("32768"), 1)


class Misspellings(E2ETestCase):

    def test_no_command(self):
        self.assert_fails(self.bertcram(), USAGE, "--help")

    def test_an_unknown_command_has_its_nearest_name(self):
        self.assert_fails(self.bertcram("pretain"), USAGE, "pretain", "'pretrain'")
        self.assert_fails(self.bertcram("tokenise", "--input", "x"), USAGE, "tokenise", "'tokenize'")
        self.assert_fails(self.bertcram("finetune", "--task", "rte"), USAGE, "finetune", "'finetune-glue'")

    def test_the_value_of_a_global_option_is_no_command(self):
        self.assert_fails(self.bertcram("--log-file", "x.log", "pretran"), USAGE, "'pretran'", "'pretrain'")

    def test_an_unknown_command_without_a_near_one(self):
        self.assert_fails(self.bertcram("xyzzyplugh"), USAGE, "xyzzyplugh", "--help")

    def test_help_of_a_command_that_does_not_exist(self):
        self.assert_fails(self.bertcram("pretain", "--help"), USAGE, "'pretain'", "did you mean 'pretrain'")
        self.assert_fails(self.bertcram("--log-file", "pretrain", "nosuch", "-h"), USAGE, "'nosuch'")

    def test_an_unknown_option_has_its_nearest_name(self):
        cases = {"tokenize": ("--vocab-sise", "--vocab-size"), "pack": ("--seqlen", "--seq-len"),
                 "pretrain": ("--buget", "--budget"), "eval": ("--modle", "--model"),
                 "encode": ("--token", "--tokens"), "finetune-glue": ("--seed", "--seeds"),
                 "config": ("--confg", "--config")}
        for command, (wrong, right) in cases.items():
            with self.subTest(command=command):
                self.assert_fails(self.bertcram(command, wrong, "3"), USAGE, f"'{wrong}'", f"'{right}'")

    def test_an_unknown_option_with_an_equals_sign(self):
        self.assert_fails(self.bertcram("tokenize", "--vocab-sise=30"), USAGE, "--vocab-sise", "'--vocab-size'")

    def test_an_unknown_option_before_the_command(self):
        self.assert_fails(self.bertcram("--quite", "config"), USAGE, "--quite", "--quiet")

    def test_a_global_option_misspelt_behind_the_command(self):
        self.assert_fails(self.bertcram("config", "--quite"), USAGE, "--quite", "--quiet")

    def test_an_option_without_its_value(self):
        self.assert_fails(self.bertcram("tokenize", "--vocab-size"), USAGE, "--vocab-size")

    def test_a_value_that_is_no_number(self):
        result = self.bertcram("tokenize", "--input", text_fixture(), "--output", self.dir / "out", "--vocab-size", "many")
        self.assert_fails(result, USAGE, "--vocab-size", "many")

    def test_a_number_out_of_range(self):
        for command, option, value in [("tokenize", "--vocab-size", "-5"), ("pack", "--seq-len", "1"),
                                       ("pack", "--valid-frac", "1.5"), ("pretrain", "--steps", "-1"),
                                       ("encode", "--threads", "-1"), ("finetune-glue", "--seeds", "-1"),
                                       ("tokenize", "--threads", "99999999999999999999")]:
            with self.subTest(option=option):
                self.assert_fails(self.bertcram(command, option, value), USAGE, option, value)

    def test_a_range_is_plain_text(self):
        self.assertIn("--vocab-size 16..10000000", self.bertcram("plan", "--help").text)
        for command in ("plan", "bench", "serve", "encode"):
            self.assertNotRegex(self.bertcram(command, "--help").text, r"INT:|in \[", command)
        self.assert_fails(self.bertcram("plan", "--vocab-size", "fast"), USAGE,
                          "--vocab-size: 'fast' is not a whole number from 16 to 10,000,000, such as 2000000 or 2M")
        self.assert_fails(self.bertcram("encode", "--threads", "1.5"), USAGE, "is not a whole number from 0 to 1,024")

    def test_a_word_that_is_no_choice(self):
        self.assert_fails(self.bertcram("pretrain", "--precision", "fp61"), USAGE, "fp61", "fp32", "bf16")
        self.assert_fails(self.bertcram("finetune-glue", "--protocol", "sain"), USAGE, "sain", "sane")
        self.assert_fails(self.bertcram("tokenize", "--type", "wordpeice"), USAGE, "wordpeice", "wordpiece")

    def test_several_wrong_flags_are_told_at_once(self):
        result = self.bertcram("pack", "--seq-len", "x", "--valid-frac", "7", "--dedup", "sometimes")
        self.assert_fails(result, USAGE, "--seq-len", "--valid-frac", "--dedup", lines=3)

    def test_a_stray_word(self):
        self.assert_fails(self.bertcram("encode", "stray", "--tokenizer", make_tokenizer()), USAGE, "stray")

    def test_a_configuration_without_its_option(self):
        for words in (("pretrain", "quickstart.yaml"), ("plan", "--gpu", "3060ti", "my.yml"), ("config", "pretrain", "base.yaml")):
            with self.subTest(words=words):
                self.assert_fails(self.bertcram(*words), USAGE, f"did you mean '--config {words[-1]}'?")
        self.assert_fails(self.bertcram("encode", "base.yaml"), USAGE, "base.yaml", "'bertcram encode --help'")  # has none

    def test_config_of_an_unknown_command(self):
        self.assert_fails(self.bertcram("config", "encode"), USAGE, "encode", "pretrain")
        self.assert_fails(self.bertcram("config", "finetune"), USAGE, "'finetune'", "did you mean 'finetune-glue'")
        self.assert_fails(self.bertcram("config", "pertrain"), USAGE, "did you mean 'pretrain'")

    def test_what_is_not_near_is_not_suggested(self):
        result = self.assert_fails(self.bertcram("fill-mask", "--text", "a [MASK]"), USAGE, "'--text'", "'bertcram fill-mask --help'")
        self.assertNotIn("did you mean", result)
        self.assertIn("on stdin", self.bertcram("fill-mask", "--help").text)


class Streams(E2ETestCase):
    """stdout carries results only."""

    def json_of(self, *args):
        result = self.assert_ok(self.bertcram(*args, "--json"))
        value = json.loads(result.text)
        self.assertIsInstance(value, dict)
        return value, result

    def test_a_signal_ends_a_command_that_waits_for_input(self):
        commands = {"encode": ["encode", "--tokenizer", make_tokenizer()],
                    "tokenize": ["tokenize", "--input", "-", "--output", self.dir / "out", "--vocab-size", 200]}
        for name, command in commands.items():
            for number in (signal.SIGINT, signal.SIGTERM):
                with self.subTest(command=name, signal=number):
                    process = start(*command, stdin=subprocess.PIPE)
                    process.stdin.write(b"the cat\n")
                    process.stdin.flush()
                    # It waits as soon as it has read the line, for good; when that is, only /proc tells.
                    self.assertTrue(stop_after(process, lambda: waits_in_poll(process.pid)))
                    process.send_signal(number)
                    self.assertEqual(process.wait(timeout=HUNG_SECONDS), 128 + number)
                    process.stdin.close()
                    process.stderr.close()
                    process.stdout.close()
        self.assert_no_output(self.dir / "out")

    def test_a_signal_ends_a_command_whose_input_is_a_pipe_that_nobody_writes_to(self):
        pipe = self.dir / "pipe"
        os.mkfifo(pipe)
        for number in (signal.SIGINT, signal.SIGTERM):
            with self.subTest(signal=number):
                process = start("tokenize", "--input", pipe, "--output", self.dir / "out", "--vocab-size", 200)
                self.addCleanup(kill, process)
                self.assertTrue(stop_after(process, lambda: waits_in_poll(process.pid)))
                process.send_signal(number)
                self.assert_fails(finish(process), 128 + number, "stopped")
        self.assert_no_output(self.dir / "out")

    def test_a_job_in_the_background_goes_on_when_the_foreground_is_interrupted(self):
        script = self.dir / "in-background"  # shells without job control let such jobs ignore SIGINT
        script.write_text(f"#!/bin/sh\ntrap '' INT\nexec {shlex.quote(str(BINARY))} \"$@\"\n")
        script.chmod(0o755)
        process = start("encode", "--tokenizer", make_tokenizer(), stdin=subprocess.PIPE, binary=script)
        process.stdin.write(b"the cat\n")
        process.stdin.flush()
        self.assertTrue(process.stdout.readline())
        process.send_signal(signal.SIGINT)
        process.stdin.write(b"the dog\n")
        result = finish(process)
        self.assertEqual((result.code, len(result.out.splitlines())), (0, 1), result)

    def test_a_lost_reader_of_the_log_ends_nothing_that_prints_one_result(self):
        empty = self.dir / "empty.txt"  # is warned of
        empty.touch()
        commands = {"tokenize": ["--input", text_fixture(), "--output", self.dir / "tok", "--vocab-size", 200],
                    "pack": ["--input", text_fixture(), "--input", empty, "--tokenizer", make_tokenizer(),
                             "--output", self.dir / "packed", "--seq-len", 32, "--valid-frac", 0.1]}
        for name, words in commands.items():
            with self.subTest(command=name):
                reader, writer = os.pipe()
                os.close(reader)
                process = start(name, *words, "--threads", 1, "--json", stderr=writer)
                os.close(writer)
                result = self.assert_ok(finish(process))
                self.assertIsInstance(result.json, dict)

    def test_json_of_every_stage_is_one_object(self):
        tok, packed, run = self.dir / "tok", self.dir / "packed", self.dir / "run"
        value, _ = self.json_of("tokenize", "--input", text_fixture(), "--output", tok, "--vocab-size", 200)
        self.assertEqual(value["vocab_size"], 200)
        value, _ = self.json_of("pack", "--input", text_fixture(), "--tokenizer", tok, "--output", packed, "--seq-len", 32,
                                "--valid-frac", 0.1)
        self.assertGreater(value["train_rows"], 0)
        self.assertGreater(value["valid_rows"], 0)
        value, result = self.json_of(*pretrain_args(packed, run, 5))
        self.assertEqual(value["steps"], 5)
        self.assertIn(" I pretrain: ", result.err)
        value, _ = self.json_of("eval", "--model", run / "model", "--data", packed)
        self.assertLessEqual({"loss", "perplexity", "accuracy", "masked_tokens"}, value.keys())
        self.assertGreaterEqual(value["perplexity"], 1)
        self.assertTrue(0 <= value["accuracy"] <= 1)
        value, _ = self.json_of("eval", "--model", run / "model", "--text", text_fixture())
        self.assertGreater(value["masked_tokens"], 0)
        task = make_task(self.dir / "task")
        value, _ = self.json_of(*finetune_args(task, run / "model", self.dir / "glue", 2, "--save-models", "all"))
        self.assertLessEqual({"protocol", "tasks", "averages"}, value.keys())
        scores = value["tasks"]["pets"]
        self.assertLessEqual({"metric", "seeds", "median", "mean", "sd"}, scores.keys())
        self.assertEqual([entry["seed"] for entry in scores["seeds"]], [0, 1])
        self.assertEqual(value, json.loads((self.dir / "glue" / "results.json").read_text()))
        model = next(path.parent for path in (self.dir / "glue").rglob("model.safetensors"))
        value, _ = self.json_of("eval", "--task-file", task, "--model", model)
        self.assertTrue(0 <= value["accuracy"] <= 100)
        self.assert_no_temporaries()

    def test_quiet_is_silent(self):
        tok, packed, run = self.dir / "tok", self.dir / "packed", self.dir / "run"
        task = make_task(self.dir / "task")
        for command in [["tokenize", "--input", text_fixture(), "--output", tok, "--vocab-size", 200],
                        ["pack", "--input", text_fixture(), "--tokenizer", tok, "--output", packed, "--seq-len", 32,
                         "--valid-frac", 0.1],
                        pretrain_args(packed, run, 5),
                        ["eval", "--model", run / "model", "--data", packed],
                        finetune_args(task, run / "model", self.dir / "glue", 1, "--max-tokens", 32)]:
            with self.subTest(command=command[0]):
                result = self.assert_ok(self.bertcram("--quiet", *command))
                self.assertEqual(result.err, "")
                self.assertNotEqual(result.out, b"")

    def test_quiet_works_behind_the_command_too(self):
        result = self.assert_ok(self.bertcram("tokenize", "--quiet", "--input", text_fixture(), "--output",
                                              self.dir / "tok", "--vocab-size", 200))
        self.assertEqual(result.err, "")
        self.assertTrue((self.dir / "tok" / "vocab.txt").exists())

    def test_quiet_still_tells_errors(self):
        self.assert_fails(self.bertcram("--quiet", "tokenize", "--input", "absent", "--output", self.dir / "tok"), 3,
                          "absent")

    def test_log_lines_have_one_shape(self):
        result = self.assert_ok(self.bertcram(*pretrain_args(make_packed(), self.dir / "run", 5)))
        self.assertGreaterEqual(len(result.err.splitlines()), 4)
        for line in result.err.splitlines():
            self.assertRegex(line, r"^\d\d:\d\d:\d\d [DIWE] [a-z-]+: \S")

    def test_a_log_file_gets_the_log(self):
        log = self.dir / "log.txt"
        result = self.assert_ok(self.bertcram("--log-file", log, *pretrain_args(make_packed(), self.dir / "run", 5)))
        messages = [line.split(" ", 2)[2] for line in result.err.splitlines()]
        written = log.read_text()
        for message in messages:
            self.assertIn(message, written)

    def test_a_failure_is_in_the_log_file_and_the_exit_code_stays(self):
        log = self.dir / "log.txt"
        result = self.bertcram("--log-file", log, "tokenize", "--input", "absent.txt", "--output", self.dir / "tok")
        self.assert_fails(result, 3, "absent.txt")
        self.assertIn("absent.txt", log.read_text())

    def test_no_color_is_respected_on_a_terminal(self):
        command = ["tokenize", "--input", "absent.txt", "--output", self.dir / "tok"]
        colour = re.compile(rb"\x1b\[[0-9;]*m")
        self.assertRegex(self.on_a_terminal(*command), colour)
        self.assertNotRegex(self.on_a_terminal(*command, NO_COLOR="1"), colour)

    def test_no_escape_codes_without_a_terminal(self):
        error = self.bertcram("tokenize", "--input", "absent.txt", "--output", self.dir / "tok").err
        self.assertIn("absent.txt", error)
        self.assertNotIn("\x1b", error)

    def test_a_closed_pipe_does_not_crash(self):
        process = subprocess.Popen([str(BINARY), "encode", "--tokenizer", str(make_tokenizer())], stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment())
        process.stdout.close()
        try:
            process.stdin.write(b"the cat\n" * 2_000_000)
            process.stdin.close()
        except BrokenPipeError:
            process.stdin = None
        error = process.stderr.read().decode()
        process.wait(timeout=HUNG_SECONDS)
        self.assertIn(process.returncode, (RESOURCES, -13), error)  # as `yes | head` ends
        self.assertNotIn("terminate called", error)
        process.stderr.close()


if __name__ == "__main__":
    unittest.main(verbosity=2)
