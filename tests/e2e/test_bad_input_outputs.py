"""Unusable output folders, full disks: each mistake has its exit code and one helpful line; nothing is damaged."""

import contextlib
import json
import os
import shutil
import subprocess
import unittest

from small_disk import SmallDisk
from support import (BINARY, E2ETestCase, INPUT, RESOURCES, USAGE, environment, finetune_args, make_model,
                     make_packed, make_task, make_text, make_tokenizer, pretrain_args, snapshot, text_fixture)


class FullDisk(E2ETestCase):
    """No room: exit code 4, and what was there stays."""

    def disk(self, size_bytes=1 << 20, free_bytes=None):
        disk = SmallDisk(self, self.dir / "disk", size_bytes)
        (disk.path / "precious.txt").write_text("keep me")
        if free_bytes is not None:
            with open(disk.path / "filler", "wb") as file:
                file.write(b"\0" * (size_bytes - free_bytes))
        return disk

    def disk_filled_by(self, folder, name, free_bytes):
        """A disk of 1 MiB with a copy of the folder in the free bytes, and then to the last byte with filler."""
        disk = self.disk(free_bytes=free_bytes)
        shutil.copytree(folder, disk.path / name)
        with open(disk.path / "filler2", "wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(b"\0" * 4096)
        return disk

    def test_tokenize(self):
        disk = self.disk(free_bytes=8192)
        with self.unharmed(disk.path):
            result = self.bertcram("tokenize", "--input", text_fixture(), "--output", disk.path / "tok", "--vocab-size",
                                   200, "--threads", 1)
            self.assert_fails(result, RESOURCES, disk.path / "tok", "No space left", "make room")
        self.assert_no_output(disk.path / "tok")

    def test_tokenize_works_once_there_is_room(self):
        disk = self.disk(free_bytes=8192)
        command = ["tokenize", "--input", text_fixture(), "--output", disk.path / "tok", "--vocab-size", 200,
                   "--threads", 1]
        self.assert_fails(self.bertcram(*command), RESOURCES)
        (disk.path / "filler").unlink()
        self.assert_ok(self.bertcram(*command))
        self.assertEqual((disk.path / "tok" / "vocab.txt").read_bytes(), (make_tokenizer() / "vocab.txt").read_bytes())

    def test_tokenize_overwrite_keeps_the_old_tokenizer_whole(self):
        disk = self.disk_filled_by(make_tokenizer(150), "tok", 40960)
        with self.unharmed(disk.path):
            result = self.bertcram("tokenize", "--input", text_fixture(), "--output", disk.path / "tok", "--vocab-size",
                                   200, "--threads", 1, "--overwrite")
            self.assert_fails(result, RESOURCES, "No space left")

    def test_pack(self):
        for free_bytes in (4096, 20480, 49152):
            with self.subTest(free_bytes=free_bytes):
                self.dir.joinpath("disk").mkdir(exist_ok=True)
                disk = self.disk(free_bytes=free_bytes)
                with self.unharmed(disk.path):
                    result = self.bertcram("pack", "--input", text_fixture(), "--tokenizer", make_tokenizer(), "--output",
                                           disk.path / "packed", "--seq-len", 32, "--threads", 1)
                    self.assert_fails(result, RESOURCES, disk.path / "packed", "No space left", "make room")
                self.assert_no_output(disk.path / "packed")

    def test_pack_overwrite_keeps_the_old_data_whole(self):
        disk = self.disk_filled_by(make_packed(150), "packed", 131072)
        with self.unharmed(disk.path):
            result = self.bertcram("pack", "--input", text_fixture(), "--tokenizer", make_tokenizer(), "--output",
                                   disk.path / "packed", "--seq-len", 32, "--threads", 1, "--overwrite")
            self.assert_fails(result, RESOURCES, "No space left")

    def test_pretrain_keeps_its_checkpoints_and_continues_once_there_is_room(self):
        # A checkpoint takes about 220 kB: a second one finds no room beside the first.
        disk = self.disk(size_bytes=400_000)
        command = pretrain_args(make_packed(), disk.path / "run", 20, checkpoint__every_steps=5)
        result = self.bertcram(*command)
        self.assert_fails(result, RESOURCES, "no room for a checkpoint", "make room", disk.path / "run")
        self.assertIn("no checkpoint of step 10", result.err)
        self.assertEqual(json.loads((disk.path / "run" / "status.json").read_text())["state"], "failed")
        checkpoints = sorted((disk.path / "run" / "checkpoints").iterdir())
        self.assertEqual([path.name[-2:] for path in checkpoints], ["05"])
        self.assert_no_temporaries(disk.path)
        self.assertEqual((disk.path / "precious.txt").read_text(), "keep me")
        with self.unharmed(*checkpoints):  # still no room: still the same
            self.assert_fails(self.bertcram(*command), RESOURCES, "no room for a checkpoint")
        disk.resize(8 << 20)
        again = self.assert_ok(self.bertcram(*command))
        self.assertIn("continuing from step-0000000005", again.err)
        whole = self.dir / "whole"
        self.assert_ok(self.bertcram(*pretrain_args(make_packed(), whole, 20, checkpoint__every_steps=5)))
        self.assertEqual((disk.path / "run" / "model" / "model.safetensors").read_bytes(),
                         (whole / "model" / "model.safetensors").read_bytes())

    def test_pretrain_lets_an_older_checkpoint_go_where_there_is_no_room(self):
        disk = self.disk(size_bytes=700_000)  # for two, and the model
        command = pretrain_args(make_packed(), disk.path / "run", 20, checkpoint__every_steps=5, checkpoint__keep=3)
        result = self.assert_ok(self.bertcram(*command))
        self.assertRegex(result.err, "no room for another checkpoint; [12] older")
        self.assertTrue((disk.path / "run" / "checkpoints" / "step-0000000020").exists())

    def test_finetune(self):
        task = make_task(self.dir / "task")
        disk = self.disk(free_bytes=8192)
        result = self.bertcram(*finetune_args(task, make_model(), disk.path / "out", 1, "--save-models", "all"))
        self.assert_fails(result, RESOURCES, "No space left", disk.path / "out")
        self.assert_no_temporaries(disk.path)

    def test_stdout_to_a_full_device(self):
        for args in (["config"], ["--help"], ["plan", "--help"], ["encode", "--tokenizer", str(make_tokenizer())]):
            with self.subTest(args=args), open("/dev/full", "wb") as full:
                done = subprocess.run([str(BINARY), *args], input=b"the cat\n" * 1000, stdout=full, env=environment(),
                                      stderr=subprocess.PIPE)
                self.assertEqual(done.returncode, RESOURCES, done.stderr)
                self.assertIn(b"cannot write to standard output", done.stderr)


class Outputs(E2ETestCase):
    """Output folders that cannot be written, or that belong to something else."""

    def writing_commands(self, output):
        task = make_task(self.dir / "task")
        return {
            "tokenize": ["tokenize", "--input", text_fixture(), "--output", output, "--vocab-size", 200, "--threads", 1],
            "pack": ["pack", "--input", text_fixture(), "--tokenizer", make_tokenizer(), "--output", output, "--seq-len",
                     32, "--threads", 1],
            "pretrain": pretrain_args(make_packed(), output, 5),
            "finetune-glue": finetune_args(task, make_model(), output),
        }

    def test_a_read_only_folder(self):
        disk = SmallDisk(self, self.dir / "disk", 1 << 20)
        (disk.path / "precious.txt").write_text("keep me")
        disk.make_read_only()
        for name, command in self.writing_commands(disk.path / "out").items():
            with self.subTest(command=name), self.unharmed(disk.path):
                self.assert_fails(self.bertcram(*command), RESOURCES, disk.path / "out", "Read-only",
                                  "choose an output folder")

    def test_pack_never_touches_a_folder_with_other_files(self):
        folder = self.dir / "mine"
        folder.mkdir()
        text = folder / "train-a.txt"
        text.write_bytes(text_fixture().read_bytes())
        for more in ([], ["--overwrite"]):
            with self.subTest(more=more), self.unharmed(folder):
                self.assert_fails(self.bertcram("pack", "--input", text, "--tokenizer", make_tokenizer(), "--output",
                                                folder, "--seq-len", 32, *more), 2, folder, "not empty")

    def test_pack_never_replaces_a_tokenizer_folder(self):
        folder = self.dir / "tok"
        shutil.copytree(make_tokenizer(), folder)
        with self.unharmed(folder):
            self.assert_fails(self.bertcram("pack", "--input", text_fixture(), "--tokenizer", folder, "--output", folder,
                                            "--seq-len", 32, "--overwrite"), 2, folder, "not empty")

    def test_scores_of_other_task_data_are_refused(self):
        task = make_task(self.dir / "task")
        self.assert_ok(self.bertcram(*finetune_args(task, make_model(), self.dir / "out", 1)))
        with open(self.dir / "task" / "dev.tsv", "a", encoding="utf-8") as file:
            file.write("The cat was not there before .\tcats\n")
        with self.unharmed(self.dir / "out"):
            self.assert_fails(self.bertcram(*finetune_args(task, make_model(), self.dir / "out", 1)), 2, "other data")

    def test_scores_of_a_task_whose_file_was_edited_are_refused(self):
        task = make_task(self.dir / "task")
        self.assert_ok(self.bertcram(*finetune_args(task, make_model(), self.dir / "out", 1)))
        original = task.read_text()
        for edited in (original.replace("sentence1: text", "sentence1: text, sentence2: text"), original + "metric: f1\n",
                       original + "bad_rows: skip\n"):
            with self.subTest(edited=edited), self.unharmed(self.dir / "out"):
                task.write_text(edited)
                for seeds in (1, 2):
                    self.assert_fails(self.bertcram(*finetune_args(task, make_model(), self.dir / "out", seeds)), USAGE,
                                      "pets", "other rules")
        task.write_text("# with a comment\n" + original)
        self.assert_ok(self.bertcram(*finetune_args(task, make_model(), self.dir / "out", 1)))

    def test_an_existing_read_only_folder(self):
        disk = SmallDisk(self, self.dir / "disk", 1 << 20)
        (disk.path / "out").mkdir()
        disk.make_read_only()
        for name, command in self.writing_commands(disk.path / "out").items():
            with self.subTest(command=name):
                self.assert_fails(self.bertcram(*command), RESOURCES, disk.path / "out", "Read-only",
                                  "choose an output folder")

    def test_a_folder_without_write_permission(self):
        if os.getuid() == 0:
            reason = "root may write everywhere"
            print(f"SKIPPED {self.id()}: {reason}")
            self.skipTest(reason)
        (self.dir / "locked").mkdir(mode=0o555)
        for name, command in self.writing_commands(self.dir / "locked" / "out").items():
            with self.subTest(command=name):
                self.assert_fails(self.bertcram(*command), RESOURCES, "locked", "Permission denied")

    def test_a_path_below_a_regular_file(self):
        (self.dir / "file").write_text("keep me")
        for name, command in self.writing_commands(self.dir / "file" / "out").items():
            with self.subTest(command=name), self.unharmed(self.dir / "file"):
                self.assert_fails(self.bertcram(*command), (USAGE, RESOURCES), self.dir / "file",
                                  ("not a directory", "is a file", "regular file"))

    def test_a_regular_file_as_output(self):
        (self.dir / "file").write_text("keep me")
        for name, command in self.writing_commands(self.dir / "file").items():
            with self.subTest(command=name), self.unharmed(self.dir / "file"):
                self.assert_fails(self.bertcram(*command), (USAGE, RESOURCES), self.dir / "file")

    def test_a_log_file_that_cannot_be_written(self):
        (self.dir / "file").write_text("keep me")
        result = self.bertcram("--log-file", self.dir / "file" / "log", *self.writing_commands(self.dir / "out")["tokenize"])
        self.assert_fails(result, (USAGE, RESOURCES), self.dir / "file" / "log")

    def test_tokenize_refuses_a_folder_with_a_tokenizer(self):
        folder = self.copy(make_tokenizer(150), "tok")
        with self.unharmed(folder):
            self.assert_fails(self.bertcram(*self.writing_commands(folder)["tokenize"]), USAGE, folder, "--overwrite")

    def test_tokenize_twice_does_nothing_the_second_time(self):
        command = self.writing_commands(self.dir / "tok")["tokenize"]
        first = self.assert_ok(self.bertcram(*command, "--json"))
        with self.unharmed(self.dir / "tok"):
            again = self.assert_ok(self.bertcram(*command, "--json"))
        self.assertEqual(again.json, first.json)
        self.assertIn("nothing to do", again.err)
        self.assertIn("checking the inputs", again.err)

    def test_tokenize_refuses_changed_text_under_the_same_name(self):
        source = make_text(self.dir / "text.txt", 250, seed=4)
        command = ["tokenize", "--input", source, "--output", self.dir / "tok", "--vocab-size", 200, "--threads", 1]
        self.assert_ok(self.bertcram(*command))
        source.write_bytes(source.read_bytes().replace(b"cat", b"owl"))
        with self.unharmed(self.dir / "tok"):
            self.assert_fails(self.bertcram(*command), USAGE, self.dir / "tok", "--overwrite")

    def test_a_manifest_of_somebody_else_is_no_tokenizer_and_no_data(self):
        for manifest in ('{"name": "a web app"}', '{"format": 3}', "[]"):
            folder = self.dir / "app"
            folder.mkdir(exist_ok=True)
            (folder / "manifest.json").write_text(manifest)
            for name in ("tokenize", "pack"):
                with self.subTest(command=name, manifest=manifest), self.unharmed(folder):
                    self.assert_fails(self.bertcram(*self.writing_commands(folder)[name], "--overwrite"), USAGE, folder,
                                      "not empty")

    def test_finetune_refuses_a_folder_with_something_else(self):
        task = make_task(self.dir / "task")
        for folder in (self.copy(make_model().parent, "run"), self.copy(make_packed(), "packed")):
            with self.subTest(folder=folder), self.unharmed(folder):
                self.assert_fails(self.bertcram(*finetune_args(task, make_model(), folder)), USAGE, folder, "not empty")

    def test_finetune_never_replaces_results_of_somebody_else(self):
        (self.dir / "mine").mkdir()
        (self.dir / "mine" / "results.json").write_text('{"precious": 1}')
        task = make_task(self.dir / "task")
        with self.unharmed(self.dir / "mine"):
            self.assert_fails(self.bertcram(*finetune_args(task, make_model(), self.dir / "mine")), USAGE, "not empty")

    def test_damaged_settings_of_earlier_results(self):
        task = make_task(self.dir / "task")
        self.assert_ok(self.bertcram(*finetune_args(task, make_model(), self.dir / "out", 1)))
        settings = self.dir / "out" / "settings.json"
        settings.write_bytes(settings.read_bytes()[:20])
        self.assert_fails(self.bertcram(*finetune_args(task, make_model(), self.dir / "out", 1)), INPUT, settings, "damaged")

    def test_a_try_that_failed_does_not_bind_the_next(self):
        task = make_task(self.dir / "task")
        train = self.dir / "task" / "train.tsv"
        content = train.read_bytes()
        train.write_bytes(content + b"no second column\n")
        self.assert_fails(self.bertcram(*finetune_args(task, make_model(), self.dir / "out", 1)), INPUT, "train.tsv")
        train.write_bytes(content)
        self.assert_ok(self.bertcram(*finetune_args(task, make_model(), self.dir / "out", 1, "--learning-rate", "1e-3")))

    def test_pretrain_leaves_a_project_with_a_config_yaml_alone(self):
        folder = self.dir / "project"
        folder.mkdir()
        (folder / "config.yaml").write_text("site: mine\n")
        (folder / "index.html").write_text("keep me")
        with self.unharmed(folder):
            self.assert_fails(self.bertcram(*pretrain_args(make_packed(), folder, 5)), USAGE, folder, "not empty")

    def test_tokenize_overwrites_when_told_to(self):
        folder = self.copy(make_tokenizer(150), "tok")
        self.assert_ok(self.bertcram(*self.writing_commands(folder)["tokenize"], "--overwrite"))
        self.assertEqual(snapshot(folder)[str(folder / "vocab.txt")], (make_tokenizer() / "vocab.txt").read_bytes())
        self.assert_no_temporaries()

    def test_pack_refuses_a_folder_with_other_data(self):
        folder = self.copy(make_packed(150), "packed")
        with self.unharmed(folder):
            self.assert_fails(self.bertcram(*self.writing_commands(folder)["pack"]), USAGE, folder, "--overwrite")

    def test_pack_refuses_a_folder_whose_manifest_is_damaged(self):
        folder = self.copy(make_packed(), "packed")
        (folder / "manifest.json").write_text("{")
        with self.unharmed(folder):
            self.assert_fails(self.bertcram(*self.writing_commands(folder)["pack"]), USAGE, folder, "--overwrite")

    def test_pack_refuses_a_tokenizer_folder(self):
        folder = self.copy(make_tokenizer(), "tok")
        with self.unharmed(folder):
            self.assert_fails(self.bertcram(*self.writing_commands(folder)["pack"]), USAGE, folder)

    def test_pack_refuses_changed_text_under_the_same_name(self):
        source = make_text(self.dir / "text.txt", 100, seed=4)
        command = ["pack", "--input", source, "--tokenizer", make_tokenizer(), "--output", self.dir / "packed",
                   "--seq-len", 32, "--threads", 1]
        self.assert_ok(self.bertcram(*command))
        content = source.read_bytes()
        source.write_bytes(content.replace(b"cat", b"dog"))
        self.assertEqual(source.stat().st_size, len(content))
        with self.unharmed(self.dir / "packed"):
            self.assert_fails(self.bertcram(*command), USAGE, self.dir / "packed", "--overwrite")

    def test_pretrain_refuses_another_run_and_lists_what_differs(self):
        run = self.copy(make_model().parent, "run")
        command = pretrain_args(make_packed(), run, 20, checkpoint__every_steps=10, optim__learning_rate=0.5, seed=9)
        with self.unharmed(run):
            message = self.assert_fails(self.bertcram(*command), USAGE, run, "optim.learning_rate", "0.5", "seed",
                                        "--output")
        self.assertNotIn("beta1", message)

    def test_pretrain_refuses_other_data(self):
        run = self.copy(make_model().parent, "run")
        with self.unharmed(run):
            self.assert_fails(self.bertcram(*pretrain_args(make_packed(seed=2), run, 20, checkpoint__every_steps=10)),
                              USAGE, "--data", "--output")

    def test_pretrain_refuses_a_folder_with_something_else(self):
        folder = self.copy(make_packed(), "packed")
        with self.unharmed(folder):
            self.assert_fails(self.bertcram(*pretrain_args(make_packed(), folder)), USAGE, folder, "another")

    def test_pretrain_never_resumes_when_told_so(self):
        run = self.copy(make_model().parent, "run")
        with self.unharmed(run):
            self.assert_fails(self.bertcram(*pretrain_args(make_packed(), run, 20, checkpoint__every_steps=10),
                                            "--resume", "never"), USAGE, run)

    def test_finetune_refuses_results_of_other_settings(self):
        commands = self.writing_commands(self.dir / "out")
        self.assert_ok(self.bertcram(*commands["finetune-glue"]))
        with self.unharmed(self.dir / "out"):
            self.assert_fails(self.bertcram(*commands["finetune-glue"], "--learning-rate", "0.01"), USAGE,
                              self.dir / "out", "--output")

    def test_finetune_refuses_results_of_another_model(self):
        task = make_task(self.dir / "task")
        self.assert_ok(self.bertcram(*finetune_args(task, make_model(), self.dir / "out")))
        with self.unharmed(self.dir / "out"):
            self.assert_fails(self.bertcram(*finetune_args(task, make_model(steps=10), self.dir / "out")), USAGE,
                              self.dir / "out", "--output")


if __name__ == "__main__":
    unittest.main(verbosity=2)
