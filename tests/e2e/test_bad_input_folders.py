"""Bad tokenizer, packed and model folders: each mistake has its exit code and one helpful line; nothing is damaged."""

import json
import os
import shutil
import struct
import unittest

from support import (INPUT, E2ETestCase, finetune_args, flip_byte, make_model, make_nan, make_packed, make_task,
                     make_tokenizer, pretrain_args)


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


    def test_inspect_refuses_the_tokenizer_of_another_packing(self):
        packed = self.copy(make_packed(), "packed")
        shutil.rmtree(packed / "tokenizer")
        shutil.copytree(make_tokenizer(vocab_size=150), packed / "tokenizer")
        with self.unharmed(packed):
            self.assert_fails(self.bertcram("pack", "--inspect", packed), INPUT, packed, "tokenizer", "pack")

    def test_inspect_refuses_numbers_out_of_range(self):
        packed = self.copy(make_packed(), "packed")
        manifest = json.loads((packed / "manifest.json").read_text())
        (packed / "manifest.json").write_text(json.dumps({**manifest, "vocab_size": -1}))
        self.assert_fails(self.bertcram("pack", "--inspect", packed), INPUT, "manifest.json", "vocab_size", "-1")


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

    def test_weights_that_are_no_numbers(self):
        make_nan(self.model / "model.safetensors", "bert.embeddings.LayerNorm.weight")
        with self.unharmed(self.model):
            result = self.bertcram("eval", "--model", self.model, "--data", make_packed(), "--threads", 1)
            self.assert_fails(result, INPUT, self.model, "not a number", "damaged")

    def test_a_classifier_whose_weights_are_no_numbers(self):
        task = make_task(self.dir / "task")
        self.assert_ok(self.bertcram(*finetune_args(task, self.model, self.dir / "out", 1, "--save-models", "all")))
        (weights,) = (self.dir / "out").rglob("model.safetensors")
        make_nan(weights, "bert.embeddings.LayerNorm.weight")
        result = self.bertcram("eval", "--model", weights.parent, "--task-file", task, "--threads", 1)
        self.assert_fails(result, INPUT, weights.parent, "not numbers", "damaged")

    def test_pairs_need_a_second_token_type(self):
        config = json.loads((self.model / "config.json").read_text())
        (self.model / "config.json").write_text(json.dumps({**config, "type_vocab_size": 1}))
        task = make_task(self.dir / "task")
        task.write_text(task.read_text().replace("sentence1: text,", "sentence1: text, sentence2: text,"))
        self.assert_fails(self.bertcram(*finetune_args(task, self.model, self.dir / "out")), INPUT, "pets", "pairs",
                          "type_vocab_size")

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

    def edit_header(self, change):
        """@param change gets the header and the data, as a bytearray"""
        path = self.model / "model.safetensors"
        content = path.read_bytes()
        (length,) = struct.unpack("<Q", content[:8])
        header, data = json.loads(content[8:8 + length]), bytearray(content[8 + length:])
        change(header, data)
        text = json.dumps(header).encode()
        path.write_bytes(struct.pack("<Q", len(text)) + text + data)

    def test_tensor_offsets_beyond_the_file(self):
        def move(header, data):
            name = next(key for key in header if key != "__metadata__")
            begin, end = header[name]["data_offsets"]
            header[name]["data_offsets"] = [1 << 60, (1 << 60) + end - begin]
        self.edit_header(move)
        self.refused("model.safetensors")

    def test_tensors_that_overlap(self):
        def move(header, data):
            header["bert.embeddings.LayerNorm.bias"]["data_offsets"] = \
                header["bert.embeddings.LayerNorm.weight"]["data_offsets"]
        self.edit_header(move)
        self.refused("model.safetensors", "overlap")

    def test_a_tensor_that_is_not_aligned(self):
        def shift(header, data):
            for name, tensor in header.items():
                if name != "__metadata__":
                    tensor["data_offsets"] = [offset + 2 for offset in tensor["data_offsets"]]
            header["odd"] = {"dtype": "BF16", "shape": [1], "data_offsets": [0, 2]}
            data[0:0] = bytes(2)
        self.edit_header(shift)
        self.refused("model.safetensors", "no multiple")

    def test_a_tensor_of_another_type(self):
        def change(header, data):
            header["bert.embeddings.LayerNorm.bias"]["dtype"] = "I32"
        self.edit_header(change)
        self.refused("model.safetensors", "bert.embeddings.LayerNorm.bias", "I32", "F32")

    def test_missing_tensors_are_listed(self):
        def rename(header, data):
            for part in ("key", "value"):
                name = f"bert.encoder.layer.0.attention.self.{part}.bias"
                header["classifier." + part] = header.pop(name)
        self.edit_header(rename)
        self.refused("model.safetensors", "2 tensors are missing", "attention.self.key.bias", "attention.self.value.bias")

    def test_what_is_missing_and_what_is_too_much_are_both_listed(self):
        def rename(header, data):
            header["bert.encoder.layer.9.output.dense.bias"] = header.pop("bert.encoder.layer.0.output.dense.bias")
        self.edit_header(rename)
        self.refused("1 tensor is missing: bert.encoder.layer.0.output.dense.bias",
                     "1 tensor is without a place in the model of config.json: bert.encoder.layer.9.output.dense.bias")

    def test_files_that_would_wait_for_a_writer(self):
        for name in ("config.json", "model.safetensors", "tokenizer.json"):
            with self.subTest(file=name):
                original = (self.model / name).read_bytes()
                (self.model / name).unlink()
                os.mkfifo(self.model / name)
                self.assert_fails(self.bertcram("embed", "--model", self.model, stdin="a\n"), INPUT, name, "regular file")
                (self.model / name).unlink()
                (self.model / name).write_bytes(original)

    def test_fewer_layers_in_the_config_than_in_the_weights(self):
        config = json.loads((self.model / "config.json").read_text())
        self.assertEqual(config["num_hidden_layers"], 1)
        def add(header, data):
            header["bert.encoder.layer.1.output.dense.bias"] = {"dtype": "F32", "shape": [1],
                                                                "data_offsets": [len(data), len(data) + 4]}
            data += bytes(4)
        self.edit_header(add)
        self.refused("model.safetensors", "without a place", "bert.encoder.layer.1.output.dense.bias")

    def test_features_of_a_config_that_are_not_computed(self):
        original = (self.model / "config.json").read_text()
        for key, value in (("hidden_act", "relu"), ("position_embedding_type", "relative_key"),
                           ("quantization_config", {"bits": 8})):
            (self.model / "config.json").write_text(json.dumps({**json.loads(original), key: value}))
            self.refused("config.json", key, "not supported")

    def test_a_shard_that_is_missing(self):
        (self.model / "model.safetensors").unlink()
        (self.model / "model.safetensors.index.json").write_text(
            json.dumps({"weight_map": {"bert.embeddings.LayerNorm.bias": "model-00001-of-00002.safetensors"}}))
        self.refused("model.safetensors.index.json", "model-00001-of-00002.safetensors")

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
