"""Bad input: each mistake has its exit code and one helpful line; nothing already on disk is damaged."""

import json
import os
import pathlib
import random
import shutil
import struct
import subprocess
import unittest

from support import (BINARY, INPUT, RESOURCES, USAGE, E2ETestCase, SmallDisk, environment, finetune_args, flip_byte,
                     make_model, make_packed, make_task, make_text, make_tokenizer, must, pretrain_args,
                     sets, snapshot, text_fixture, zstd_file)


def reading_commands(source, output, tokenizer):
    """The two commands that read raw text."""
    return {"tokenize": ["tokenize", "--input", source, "--output", output, "--vocab-size", 200, "--threads", 1],
            "pack": ["pack", "--input", source, "--tokenizer", tokenizer, "--output", output, "--seq-len", 32,
                     "--valid-frac", 0, "--threads", 1, "--json"]}


class RawText(E2ETestCase):
    """What can be wrong with a text file."""

    def refused(self, source, code, *fragments):
        for name, command in reading_commands(source, self.dir / "out", make_tokenizer()).items():
            with self.subTest(command=name), self.unharmed(self.dir):
                self.assert_fails(self.bertcram(*command), code, *fragments)
                self.assert_no_output(self.dir / "out")

    def taken(self, source):
        """@return the JSON of pack, after tokenize took the file too"""
        commands = reading_commands(source, self.dir / "out-tokenize", make_tokenizer())
        self.assert_ok(self.bertcram(*commands["tokenize"]))
        commands = reading_commands(source, self.dir / "out-pack", make_tokenizer())
        return self.assert_ok(self.bertcram(*commands["pack"])).json

    def test_a_missing_file_is_named(self):
        self.refused(self.dir / "absent.txt", INPUT, "absent.txt", "no such file")

    def test_a_pattern_that_matches_nothing_is_named(self):
        self.refused(self.dir / "*.nothing", INPUT, "*.nothing")

    def test_a_missing_file_among_others_is_named(self):
        command = ["tokenize", "--input", text_fixture(), self.dir / "absent.txt", "--output", self.dir / "out"]
        self.assert_fails(self.bertcram(*command), INPUT, "absent.txt")
        self.assert_no_output(self.dir / "out")

    def test_an_empty_file_holds_no_text(self):
        (self.dir / "empty.txt").write_bytes(b"")
        self.refused(self.dir / "empty.txt", INPUT, ("no text", "empty", "no training row"))

    def test_a_file_of_blank_lines_holds_no_text(self):
        (self.dir / "blank.txt").write_bytes(b"\n \n\t\r\n" * 50)
        self.refused(self.dir / "blank.txt", INPUT, ("no text", "empty", "no training row"))

    def test_an_empty_folder_is_named(self):
        (self.dir / "nothing").mkdir()
        self.refused(self.dir / "nothing", INPUT, "nothing")

    def test_binary_garbage_is_refused_by_name(self):
        (self.dir / "garbage.bin").write_bytes(random.Random(7).randbytes(100_000))
        self.refused(self.dir / "garbage.bin", INPUT, "garbage.bin", "not a text file", "expected")

    def test_an_executable_is_refused_by_name(self):
        (self.dir / "program").write_bytes(pathlib.Path("/bin/sh").read_bytes()[:60_000])
        self.refused(self.dir / "program", INPUT, "program", "not a text file")

    def test_invalid_utf8_is_replaced_and_counted(self):
        source = self.dir / "latin1.txt"
        source.write_bytes(text_fixture().read_bytes() + b"\nA caf\xe9 and a na\xefve \xff\xfe tea .\n" * 3)
        self.assertGreaterEqual(self.taken(source)["invalid_utf8"], 4)
        manifest = json.loads((self.dir / "out-pack" / "manifest.json").read_text())
        self.assertGreaterEqual(manifest["counts"]["invalid_utf8"], 4)

    def test_tokenize_tells_of_invalid_utf8(self):
        source = self.dir / "latin1.txt"
        source.write_bytes(text_fixture().read_bytes() + b"\nA caf\xe9 .\n")
        result = self.assert_ok(self.bertcram("tokenize", "--input", source, "--output", self.dir / "out",
                                              "--vocab-size", 200, "--json"))
        self.assertIn("utf", (result.err + result.text).lower(), "the count of replaced bytes is nowhere" + str(result))

    def test_valid_text_has_no_invalid_utf8(self):
        self.assertEqual(self.taken(text_fixture())["invalid_utf8"], 0)

    def test_nul_bytes_are_dropped_and_counted(self):
        clean, dirty = self.dir / "clean.txt", self.dir / "dirty.txt"
        clean.write_bytes(text_fixture().read_bytes())
        dirty.write_bytes(text_fixture().read_bytes().replace(b"The cat", b"The\0 c\0at"))
        inserted = dirty.read_bytes().count(b"\0")
        self.assertGreater(inserted, 10)
        self.assertEqual(self.taken(dirty)["nul_bytes"], inserted)
        commands = reading_commands(clean, self.dir / "out-clean", make_tokenizer())
        self.assert_ok(self.bertcram(*commands["pack"]))
        for shard in sorted((self.dir / "out-clean").glob("*.bin")):
            self.assertEqual(shard.read_bytes(), (self.dir / "out-pack" / shard.name).read_bytes(), shard.name)

    def test_a_line_of_50_megabytes_is_taken(self):
        source = self.dir / "long.txt"
        with source.open("wb") as file:
            line = text_fixture().read_bytes().replace(b"\n", b" ")
            for _ in range(50_000_000 // len(line) + 1):
                file.write(line)
        self.assertGreater(source.stat().st_size, 50_000_000)
        self.assertEqual(self.taken(source)["documents_read"], 1)

    def test_a_line_of_50_megabytes_without_a_space_is_taken(self):
        source = self.dir / "long.txt"
        source.write_bytes(text_fixture().read_bytes() + b"\n" + b"x" * 50_000_000 + b"\n")
        self.assertEqual(self.taken(source)["documents_read"], 251)

    def test_encode_takes_a_line_of_50_megabytes(self):
        line = "the cat sees the dog . " * 2_200_000
        result = self.bertcram("encode", "--tokenizer", make_tokenizer(), "--threads", 1, stdin=line)
        self.assert_ok(result)
        self.assertEqual(result.out.count(b"\n"), 1)

    def test_a_truncated_zst_is_refused_with_its_name(self):
        whole = zstd_file(text_fixture(), self.dir / "whole.txt.zst").read_bytes()
        (self.dir / "whole.txt.zst").unlink()
        (self.dir / "cut.txt.zst").write_bytes(whole[:len(whole) * 2 // 3])
        self.refused(self.dir / "cut.txt.zst", INPUT, "cut.txt.zst", ("truncated", "ends", "incomplete"))

    def test_a_damaged_zst_is_refused_with_its_name(self):
        source = zstd_file(text_fixture(), self.dir / "bad.txt.zst")
        flip_byte(source, source.stat().st_size // 2)
        self.refused(source, INPUT, "bad.txt.zst", ("damaged", "corrupt", "checksum"))

    def test_a_text_named_zst_is_told_by_its_content(self):
        shutil.copy(text_fixture(), self.dir / "plain.zst")
        self.assertEqual(self.taken(self.dir / "plain.zst")["documents_read"], 250)

    def test_a_vocabulary_larger_than_the_text_allows(self):
        with self.unharmed(self.dir):
            message = self.assert_fails(
                self.bertcram("tokenize", "--input", text_fixture(), "--output", self.dir / "out", "--vocab-size", 30000,
                              "--threads", 1), USAGE, "30000", "vocab", ("--vocab-size", "more text"))
            self.assertRegex(message.replace("30000", "").replace(",", ""), r"\d\d\d", "the possible size is not named")
            self.assert_no_output(self.dir / "out")

    def test_a_vocabulary_smaller_than_the_alphabet(self):
        self.assert_fails(self.bertcram("tokenize", "--input", text_fixture(), "--output", self.dir / "out",
                                        "--vocab-size", 12, "--threads", 1), USAGE, "12")
        self.assert_no_output(self.dir / "out")

    def test_too_little_text_for_one_row(self):
        (self.dir / "short.txt").write_text("The cat sees .\n")
        commands = reading_commands(self.dir / "short.txt", self.dir / "out", make_tokenizer())
        self.assert_fails(self.bertcram(*commands["pack"]), INPUT, "no training row", "--seq-len")
        self.assert_no_output(self.dir / "out")


class Tokenizers(E2ETestCase):
    """Tokenizer arguments that are none, or the wrong one."""

    def encode(self, tokenizer):
        return self.bertcram("encode", "--tokenizer", tokenizer, stdin="the cat\n")

    def test_a_missing_tokenizer(self):
        self.assert_fails(self.encode(self.dir / "absent"), INPUT, "absent")

    def test_a_folder_without_tokenizer_files(self):
        (self.dir / "plain").mkdir()
        self.assert_fails(self.encode(self.dir / "plain"), INPUT, "plain", ("vocab.txt", "tokenizer.json"))

    def test_a_damaged_tokenizer_json(self):
        folder = self.copy(make_tokenizer(), "tok")
        content = (folder / "tokenizer.json").read_bytes()
        (folder / "tokenizer.json").write_bytes(content[:len(content) // 2])
        self.assert_fails(self.encode(folder), INPUT, "tokenizer.json")

    def test_an_empty_vocab_txt(self):
        (self.dir / "vocab.txt").write_bytes(b"")
        self.assert_fails(self.encode(self.dir / "vocab.txt"), INPUT, "vocab.txt")

    def test_a_vocab_txt_without_special_tokens(self):
        (self.dir / "vocab.txt").write_text("the\ncat\n##s\n")
        self.assert_fails(self.encode(self.dir / "vocab.txt"), INPUT, "vocab.txt", ("[UNK]", "[PAD]", "[CLS]"))

    def test_shards_of_another_tokenizer_are_refused_by_pretrain(self):
        packed = self.copy(make_packed(), "packed")
        shutil.rmtree(packed / "tokenizer")
        shutil.copytree(make_tokenizer(vocab_size=150), packed / "tokenizer")
        with self.unharmed(packed):
            self.assert_fails(self.bertcram(*pretrain_args(packed, self.dir / "run")), INPUT, packed, "tokenizer",
                              "pack")

    def test_mixed_shards_of_two_packings_are_refused_by_pretrain(self):
        packed = self.copy(make_packed(), "packed")
        shutil.copy(make_packed(vocab_size=150) / "train-00000.bin", packed / "train-00000.bin")
        self.assert_fails(self.bertcram(*pretrain_args(packed, self.dir / "run")), INPUT, "train-00000.bin",
                          "tokenizer", "pack")

    def test_eval_refuses_shards_of_another_tokenizer(self):
        with self.unharmed(make_model(), make_packed(150)):
            self.assert_fails(self.bertcram("eval", "--model", make_model(), "--data", make_packed(150), "--threads", 1),
                              INPUT, make_packed(150), "tokenizer", "pack")


class Shards(E2ETestCase):
    """Packed data that was damaged on the way."""

    def refused(self, damage, *fragments, file="train-00000.bin"):
        packed = self.copy(make_packed(), "packed")
        damage(packed / file)
        with self.unharmed(packed):
            self.assert_fails(self.bertcram(*pretrain_args(packed, self.dir / "run")), INPUT, *fragments)
        self.assertFalse((self.dir / "run" / "model").exists())

    def test_a_flipped_byte_in_the_rows(self):
        self.refused(lambda path: flip_byte(path, 5000), "train-00000.bin", ("damaged", "checksum"), "pack")

    def test_a_flipped_byte_in_the_header(self):
        self.refused(lambda path: flip_byte(path, 17), "train-00000.bin", "damaged", "pack")

    def test_a_flipped_byte_in_the_checksums(self):
        self.refused(lambda path: flip_byte(path, -3), "train-00000.bin", ("damaged", "checksum"), "pack")

    def test_a_flipped_byte_in_the_held_out_rows(self):
        self.refused(lambda path: flip_byte(path, 500), "valid-00000.bin", ("damaged", "checksum"), "pack",
                     file="valid-00000.bin")

    def test_a_flipped_byte_in_the_token_counts(self):
        self.refused(lambda path: flip_byte(path, 100), "token_counts.bin", "checksum", "pack", file="token_counts.bin")

    def test_a_truncated_shard(self):
        self.refused(lambda path: path.write_bytes(path.read_bytes()[:4000]), "train-00000.bin",
                     ("truncated", "has 4000 bytes"), "pack")

    def test_an_empty_shard(self):
        self.refused(lambda path: path.write_bytes(b""), "train-00000.bin", "truncated")

    def test_a_missing_shard(self):
        self.refused(lambda path: path.unlink(), "train-00000.bin", ("No such file", "missing"))

    def test_a_shard_of_a_later_version(self):
        def later(path):
            content = bytearray(path.read_bytes())
            content[8:12] = struct.pack("<I", 2)
            path.write_bytes(content)
        self.refused(later, "train-00000.bin", "version 2", "version 1")

    def test_a_damaged_manifest(self):
        self.refused(lambda path: path.write_text('{"format": "bertcram-packed", "version"'), "manifest.json",
                     ("damaged", "not valid"), "pack", file="manifest.json")

    def test_a_manifest_with_missing_keys(self):
        self.refused(lambda path: path.write_text('{"format": "bertcram-packed", "version": 1}'), "manifest.json",
                     "damaged", "pack", file="manifest.json")

    def test_a_folder_that_is_no_packed_data(self):
        (self.dir / "plain").mkdir()
        self.assert_fails(self.bertcram(*pretrain_args(self.dir / "plain", self.dir / "run")), INPUT, "plain",
                          "manifest.json", "bertcram pack")

    def test_eval_refuses_a_flipped_byte(self):
        packed = self.copy(make_packed(), "packed")
        flip_byte(packed / "valid-00000.bin", 500)
        self.assert_fails(self.bertcram("eval", "--model", make_model(), "--data", packed, "--threads", 1), INPUT,
                          "valid-00000.bin", ("damaged", "checksum"))


class TaskData(E2ETestCase):
    """Fine-tuning tables and task files."""

    def setUp(self):
        super().setUp()
        self.task = make_task(self.dir / "task")
        self.model = make_model()

    def refused(self, code, *fragments):
        with self.unharmed(self.dir / "task", self.model):
            message = self.assert_fails(self.bertcram(*finetune_args(self.task, self.model, self.dir / "out")), code,
                                        *fragments)
        self.assertFalse((self.dir / "out" / "results.json").exists())
        return message

    def edit(self, name, change):
        path = self.dir / "task" / name
        path.write_text(change(path.read_text()))

    def test_a_row_with_a_missing_column(self):
        self.edit("train.tsv", lambda text:
                  "\n".join(line.split("\t")[0] if n == 4 else line for n, line in enumerate(text.split("\n"))))
        self.refused(INPUT, "train.tsv:5", "columns", "expected 2")

    def test_a_header_without_the_column(self):
        self.edit("train.tsv", lambda text: text.replace("text\tclass", "text\tkind", 1))
        self.refused(INPUT, "train.tsv:1", "class", ("no column", "column"))

    def test_a_column_that_only_the_dev_file_lacks(self):
        self.edit("dev.tsv", lambda text: text.replace("text\tclass", "words\tclass", 1))
        self.refused(INPUT, "dev.tsv:1", "text")

    def test_a_label_that_the_task_does_not_know(self):
        self.edit("dev.tsv", lambda text: "\n".join(
            line.split("\t")[0] + "\thorses" if n == 9 else line for n, line in enumerate(text.split("\n"))))
        self.refused(INPUT, "dev.tsv:10", "horses", "cats", "dogs")

    def test_an_empty_table(self):
        (self.dir / "task" / "train.tsv").write_bytes(b"")
        self.refused(INPUT, "train.tsv", "empty")

    def test_a_table_with_only_a_header(self):
        (self.dir / "task" / "train.tsv").write_bytes(b"text\tclass\n")
        self.refused(INPUT, "train.tsv", ("no examples", "empty"))

    def test_a_missing_table(self):
        (self.dir / "task" / "dev.tsv").unlink()
        self.refused(INPUT, "dev.tsv")

    def test_a_missing_task_file(self):
        self.task = self.dir / "task" / "absent.yaml"
        self.refused(INPUT, "absent.yaml")

    def test_an_unknown_key_of_the_task_file(self):
        self.edit("pets.yaml", lambda text: text.replace("labels:", "lables:"))
        self.refused(USAGE, "pets.yaml:5", "lables", "labels")

    def test_an_unknown_task_has_its_nearest_name(self):
        result = self.bertcram("finetune-glue", "--task", "sst3", "--model", self.model, "--data", self.dir)
        self.assert_fails(result, USAGE, "sst3", "sst2")

    def test_a_missing_glue_folder(self):
        result = self.bertcram("finetune-glue", "--task", "rte", "--model", self.model, "--data", self.dir / "absent",
                               "--output", self.dir / "out")
        self.assert_fails(result, INPUT, "absent")

    def test_a_glue_folder_without_the_task(self):
        (self.dir / "glue").mkdir()
        result = self.bertcram("finetune-glue", "--task", "rte", "--model", self.model, "--data", self.dir / "glue",
                               "--output", self.dir / "out")
        self.assert_fails(result, INPUT, "RTE")

    def test_eval_of_an_encoder_on_a_task(self):
        result = self.bertcram("eval", "--task-file", self.task, "--model", self.model, "--threads", 1)
        self.assert_fails(result, INPUT, self.model, "finetune-glue")

    def test_eval_of_a_classifier_on_masked_tokens(self):
        must(*finetune_args(self.task, self.model, self.dir / "out", 1, "--save-models"))
        (classifier,) = {path.parent for path in (self.dir / "out").rglob("model.safetensors")}
        result = self.bertcram("eval", "--model", classifier, "--data", make_packed(), "--threads", 1)
        self.assert_fails(result, INPUT, "classifier")

    def test_eval_of_a_classifier_with_other_labels(self):
        must(*finetune_args(self.task, self.model, self.dir / "out", 1, "--save-models"))
        (classifier,) = {path.parent for path in (self.dir / "out").rglob("model.safetensors")}
        self.edit("pets.yaml", lambda text: text.replace("[cats, dogs]", "[birds, fish]"))
        for file in ("train.tsv", "dev.tsv"):
            self.edit(file, lambda text: text.replace("\tcats", "\tbirds").replace("\tdogs", "\tfish"))
        result = self.bertcram("eval", "--model", classifier, "--task-file", self.task, "--threads", 1)
        self.assert_fails(result, INPUT, ("birds", "label"))


class ConfigErrors(E2ETestCase):
    """YAML files and overrides."""

    def config(self, text, *more, lines=1, code=USAGE, fragments=(), command=("config", "pretrain")):
        path = self.dir / "small.yaml"
        path.write_text(text)
        return self.assert_fails(self.bertcram(*command, "--config", path, *more), code, *fragments, lines=lines)

    def test_an_unknown_key_has_file_line_and_nearest_name(self):
        self.config("seed: 1\nmask:\n  mask_prop: 0.2\n", fragments=["small.yaml:3", "mask.mask_prop", "mask.mask_prob"])

    def test_a_duplicate_key(self):
        self.config("seed: 1\nmodel:\n  hidden: 64\nseed: 2\n", fragments=["small.yaml:4", "seed", "duplicate"])

    def test_a_wrong_type(self):
        self.config("seed: 1\nmodel:\n  hidden: wide\n", fragments=["small.yaml:3", "model.hidden", "wide", "integer"])

    def test_a_value_out_of_range(self):
        self.config("mask:\n  mask_prob: 1.5\n", fragments=["small.yaml:2", "mask.mask_prob", "1.5", "0.9"])

    def test_a_word_that_is_no_choice(self):
        self.config("schedule:\n  anneal: linaer\n", fragments=["small.yaml:2", "linaer", "linear"])

    def test_a_list_where_a_number_is_expected(self):
        self.config("seed: [1, 2]\n", fragments=["small.yaml:1", "seed"])

    def test_a_value_where_a_section_is_expected(self):
        self.config("model: 12\n", fragments=["small.yaml:1", "model"])

    def test_broken_yaml(self):
        self.config("seed: 1\nmodel: {hidden: 3\n", fragments=["small.yaml:", "YAML"])

    def test_binary_garbage_as_yaml(self):
        path = self.dir / "garbage.yaml"
        path.write_bytes(random.Random(3).randbytes(3000))
        self.assert_fails(self.bertcram("config", "--config", path), USAGE, "garbage.yaml")

    def test_a_list_as_the_whole_yaml(self):
        self.config("- 1\n- 2\n", fragments=["small.yaml:1", "key"])

    def test_a_map_as_a_key(self):
        self.config("? {a: b}\n: 3\n", fragments=["small.yaml:1"])

    def test_an_empty_file_changes_nothing(self):
        path = self.dir / "empty.yaml"
        path.write_text("")
        self.assertEqual(self.assert_ok(self.bertcram("config", "--config", path)).out,
                         self.assert_ok(self.bertcram("config")).out)

    def test_a_missing_config(self):
        self.assert_fails(self.bertcram("config", "--config", self.dir / "absent.yaml"), USAGE, "absent.yaml")

    def test_all_problems_of_files_and_overrides_are_told_at_once(self):
        self.config("mask:\n  mask_prop: 0.2\nmodel:\n  hidden: wide\noptim:\n  beta1: 7\n", "--set", "batch.row=4",
                    "--set", "seed=-3", lines=5,
                    fragments=["small.yaml:2", "small.yaml:4", "small.yaml:6", "batch.row", "seed=-3"])

    def test_all_contradictions_are_told_at_once(self):
        result = self.bertcram("pretrain", "--data", make_packed(), "--output", self.dir / "run",
                               *sets(model__hidden=30, model__heads=4, batch__rows=10, batch__micro_rows=3))
        self.assert_fails(result, USAGE, "model.hidden", "micro_rows", "--steps", lines=3)
        self.assertFalse((self.dir / "run").exists())

    def test_a_set_without_a_value(self):
        self.assert_fails(self.bertcram("config", "--set", "seed"), USAGE, "seed", "KEY=VALUE")

    def test_a_budget_that_is_no_duration(self):
        result = self.bertcram("pretrain", "--data", make_packed(), "--output", self.dir / "run", "--budget", "5 parsecs")
        self.assert_fails(result, USAGE, "5 parsecs", ("100h", "15m"))

    def test_rows_longer_than_the_model(self):
        result = self.bertcram(*pretrain_args(make_packed(), self.dir / "run", model__max_positions=16))
        self.assert_fails(result, (USAGE, INPUT), "max_positions", "16", "32")

    def test_missing_required_flags_are_named(self):
        for command, flag in {"tokenize": "--input", "pack": "--input", "pretrain": "--data", "encode": "--tokenizer"}.items():
            with self.subTest(command=command):
                self.assert_fails(self.bertcram(command), USAGE, flag, lines=None)


class FullDisk(E2ETestCase):
    """No room: exit code 4, and what was there stays."""

    def disk(self, size_bytes=1 << 20, free_bytes=None):
        disk = SmallDisk(self, self.dir / "disk", size_bytes)
        (disk.path / "precious.txt").write_text("keep me")
        if free_bytes is not None:
            with open(disk.path / "filler", "wb") as file:
                file.write(b"\0" * (size_bytes - free_bytes))
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
        disk = self.disk(free_bytes=32768)
        shutil.copytree(make_tokenizer(150), disk.path / "tok")
        with open(disk.path / "filler2", "wb", buffering=0) as file:
            while True:
                try:
                    file.write(b"\0" * 4096)
                except OSError:
                    break
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
        disk = self.disk(free_bytes=131072)
        shutil.copytree(make_packed(150), disk.path / "packed")
        with open(disk.path / "filler2", "wb", buffering=0) as file:
            while True:
                try:
                    file.write(b"\0" * 4096)
                except OSError:
                    break
        with self.unharmed(disk.path):
            result = self.bertcram("pack", "--input", text_fixture(), "--tokenizer", make_tokenizer(), "--output",
                                   disk.path / "packed", "--seq-len", 32, "--threads", 1, "--overwrite")
            self.assert_fails(result, RESOURCES, "No space left")

    def test_pretrain_keeps_its_checkpoints_and_continues_once_there_is_room(self):
        # A checkpoint takes about 220 kB; two are kept and the third finds no room.
        disk = self.disk(size_bytes=600_000)
        command = pretrain_args(make_packed(), disk.path / "run", 20, checkpoint__every_steps=5)
        result = self.bertcram(*command)
        self.assert_fails(result, RESOURCES, "No space left", "make room", disk.path / "run")
        checkpoints = sorted((disk.path / "run" / "checkpoints").iterdir())
        self.assertEqual([path.name[-2:] for path in checkpoints], ["05", "10"])
        self.assert_no_temporaries(disk.path)
        self.assertEqual((disk.path / "precious.txt").read_text(), "keep me")
        with self.unharmed(*checkpoints):  # still no room: still the same
            self.assert_fails(self.bertcram(*command), RESOURCES, "No space left")
        disk.resize(8 << 20)
        again = self.assert_ok(self.bertcram(*command))
        self.assertIn("continuing from step-0000000010", again.err)
        whole = self.dir / "whole"
        self.assert_ok(self.bertcram(*pretrain_args(make_packed(), whole, 20, checkpoint__every_steps=5)))
        self.assertEqual((disk.path / "run" / "model" / "model.safetensors").read_bytes(),
                         (whole / "model" / "model.safetensors").read_bytes())

    def test_finetune(self):
        task = make_task(self.dir / "task")
        disk = self.disk(free_bytes=8192)
        result = self.bertcram(*finetune_args(task, make_model(), disk.path / "out", 1, "--save-models"))
        self.assert_fails(result, RESOURCES, "No space left", disk.path / "out")
        self.assert_no_temporaries(disk.path)

    def test_stdout_to_a_full_device(self):
        for args in (["config"], ["encode", "--tokenizer", str(make_tokenizer())]):
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


class ModelFolders(E2ETestCase):
    """Model folders that are incomplete or damaged."""

    def setUp(self):
        super().setUp()
        self.model = self.copy(make_model(), "model")

    def refused(self, *fragments):
        task = make_task(self.dir / "task")
        commands = {"eval": ["eval", "--model", self.model, "--data", make_packed(), "--threads", 1],
                    "finetune-glue": finetune_args(task, self.model, self.dir / "out")}
        for name, command in commands.items():
            with self.subTest(command=name), self.unharmed(self.model):
                self.assert_fails(self.bertcram(*command), INPUT, *fragments)

    def cut(self, keep):
        path = self.model / "model.safetensors"
        path.write_bytes(path.read_bytes()[:keep])

    def test_a_missing_folder(self):
        shutil.rmtree(self.model)
        self.refused(self.model)

    def test_truncated_weights(self):
        self.cut(20_000)
        self.refused("model.safetensors", ("truncated", "bytes"))

    def test_weights_truncated_in_the_header(self):
        self.cut(100)
        self.refused("model.safetensors")

    def test_weights_truncated_in_the_length(self):
        self.cut(5)
        self.refused("model.safetensors")

    def test_empty_weights(self):
        self.cut(0)
        self.refused("model.safetensors")

    def test_a_header_length_beyond_the_file(self):
        path = self.model / "model.safetensors"
        path.write_bytes(b"\xff" * 8 + path.read_bytes()[8:])
        self.refused("model.safetensors")

    def test_a_header_that_is_no_json(self):
        path = self.model / "model.safetensors"
        content = path.read_bytes()
        path.write_bytes(content[:8] + b"#" + content[9:])
        self.refused("model.safetensors")

    def test_tensor_offsets_beyond_the_file(self):
        path = self.model / "model.safetensors"
        content = path.read_bytes()
        (length,) = struct.unpack("<Q", content[:8])
        header = json.loads(content[8:8 + length])
        name = next(key for key in header if key != "__metadata__")
        header[name]["data_offsets"] = [1 << 60, (1 << 60) + header[name]["data_offsets"][1] -
                                        header[name]["data_offsets"][0]]
        text = json.dumps(header).encode()
        path.write_bytes(struct.pack("<Q", len(text)) + text + content[8 + length:])
        self.refused("model.safetensors")

    def test_only_a_pickle(self):
        (self.model / "model.safetensors").rename(self.model / "pytorch_model.bin")
        self.refused(self.model, "pytorch_model.bin", ("safetensors", "safe_serialization"))

    def test_no_weights(self):
        (self.model / "model.safetensors").unlink()
        self.refused("model.safetensors")

    def test_no_tokenizer(self):
        for name in ("tokenizer.json", "tokenizer_config.json", "vocab.txt", "special_tokens_map.json"):
            (self.model / name).unlink(missing_ok=True)
        self.refused(self.model, ("vocab.txt", "tokenizer"))

    def test_no_config(self):
        (self.model / "config.json").unlink()
        self.refused("config.json")

    def test_a_config_that_is_no_json(self):
        (self.model / "config.json").write_text("{")
        self.refused("config.json")

    def test_a_config_of_another_architecture(self):
        (self.model / "config.json").write_text('{"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"]}')
        self.refused("config.json", "gpt2", "bert")

    def test_a_config_with_an_absurd_size(self):
        config = json.loads((self.model / "config.json").read_text())
        config["hidden_size"] = 10 ** 12
        (self.model / "config.json").write_text(json.dumps(config))
        self.refused(("config.json", "model.safetensors"))

    def test_a_config_that_does_not_fit_the_weights(self):
        config = json.loads((self.model / "config.json").read_text())
        config["intermediate_size"] = 128
        (self.model / "config.json").write_text(json.dumps(config))
        self.refused("model.safetensors", "128", "64")

    def test_a_tokenizer_with_more_pieces_than_the_model(self):
        self.model = self.dir / "small-model"
        shutil.copytree(make_model(150), self.model)
        for file in make_tokenizer(200).iterdir():
            shutil.copy(file, self.model / file.name)
        self.refused(self.model, "150", "200")


if __name__ == "__main__":
    unittest.main(verbosity=2)
