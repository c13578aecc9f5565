"""embed and fill-mask: streams, output for people, mistakes."""

import json
import subprocess
import unittest

from support import (BINARY, INPUT, USAGE, E2ETestCase, environment, finetune_args, make_model, make_nan, make_task, must)


class Embed(E2ETestCase):

    def embed(self, stdin, *options):
        return self.assert_ok(self.bertcram("embed", "--model", make_model(), *options, stdin=stdin))

    def test_a_line_of_numbers_per_line_of_text(self):
        plain = self.embed("the cat\n\nthe dog")
        rows = [[float(number) for number in line.split(" ")] for line in plain.text.splitlines()]
        self.assertEqual(len(rows), 3)
        self.assertEqual({len(row) for row in rows}, {len(rows[0])})
        objects = [json.loads(line) for line in self.embed("the cat\n\nthe dog", "--json").text.splitlines()]
        self.assertEqual([each["embedding"] for each in objects], rows)
        self.assertEqual([each["text"] for each in objects], ["the cat", "", "the dog"])

    def test_no_line_gives_none(self):
        self.assertEqual(self.embed("").text, "")

    def test_vectors_have_length_one_when_asked(self):
        for line in self.embed("the cat\nthe dog sees the cat\n", "--normalize").text.splitlines():
            self.assertAlmostEqual(sum(float(number) ** 2 for number in line.split()), 1.0, places=5)

    def test_a_text_that_is_cut_is_counted(self):
        result = self.embed("the cat sees the dog .\nthe\n", "--max-tokens", 4)
        self.assertIn("1 text was longer", result.err)
        self.assertEqual(len(result.text.splitlines()), 2)

    def test_an_answer_comes_before_the_input_ends(self):
        command = [str(BINARY), "embed", "--model", str(make_model()), "--json"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment()) as process:
            for text in ("the cat", "the dog"):
                process.stdin.write(text.encode() + b"\n")
                process.stdin.flush()
                self.assertEqual(json.loads(process.stdout.readline())["text"], text)
            process.stdin.close()
            self.assertEqual(process.wait(), 0)

    def test_bytes_that_are_no_utf8_are_read_as_replacement_characters(self):
        result = self.embed(b"the \xff cat\n", "--json")
        self.assertEqual(json.loads(result.text)["text"], "the \ufffd cat")

    def folder_with_modules(self, kinds, pooling):
        folder = self.copy(make_model(), f"with-modules-{len(list(self.dir.iterdir()))}")
        modules = [{"idx": i, "name": str(i), "path": kind, "type": f"sentence_transformers.models.{kind}"}
                   for i, kind in enumerate(kinds)]
        modules[0]["path"] = ""
        (folder / "modules.json").write_text(json.dumps(modules))
        (folder / "Pooling").mkdir()
        (folder / "Pooling/config.json").write_text(json.dumps(pooling))
        return folder

    def test_a_folder_of_sentence_transformers_says_how_it_pools(self):
        lines = "the cat sees the dog .\nthe\n"
        for pooling in ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, {"pooling_mode": "cls"}):
            folder = self.folder_with_modules(["Transformer", "Pooling", "Normalize"], pooling)
            (folder / "sentence_bert_config.json").write_text('{"max_seq_length": 5}')
            said = self.assert_ok(self.bertcram("embed", "--model", folder, stdin=lines))
            asked = self.embed(lines, "--pooling", "cls", "--normalize", "--max-tokens", 5)
            self.assertEqual(said.text, asked.text)
            self.assertIn("1 text was longer", said.err)
            self.assertEqual(self.assert_ok(self.bertcram("embed", "--model", folder, "--pooling", "mean",
                                                          stdin=lines)).text, self.embed(lines).text)

    def test_modules_that_would_change_the_vectors_are_refused_by_name(self):
        mean = {"pooling_mode": "mean"}
        for kinds, pooling, fragment in ((["Transformer", "Pooling", "Dense"], mean, "Dense"),
                                         (["Transformer", "Pooling"], {"pooling_mode": "max"}, "max"),
                                         (["Transformer", "Pooling"], {"pooling_mode_cls_token": True,
                                                                       "pooling_mode_mean_tokens": True}, "cls+mean"),
                                         (["Transformer", "Pooling"], {}, "no pooling"),
                                         (["Transformer", "Pooling"], [], "damaged")):
            with self.subTest(fragment=fragment):
                folder = self.folder_with_modules(kinds, pooling)
                self.assert_fails(self.bertcram("embed", "--model", folder, stdin="x"), INPUT, fragment, "json")
        for content, fragment in (({"max_seq_length": 2}, "max_seq_length is 2"), ({"max_seq_length": 3.7}, "3.7"),
                                  ({"do_lower_case": True}, "do_lower_case"), ([], "expected a JSON object")):
            with self.subTest(content=content):
                folder = self.folder_with_modules(["Transformer", "Pooling"], mean)
                (folder / "sentence_bert_config.json").write_text(json.dumps(content))
                self.assert_fails(self.bertcram("embed", "--model", folder, stdin="x"), INPUT, fragment,
                                  "sentence_bert_config.json")
        folder = self.folder_with_modules(["Transformer", "Pooling"], mean)
        (folder / "config_sentence_transformers.json").write_text('{"default_prompt_name": "query"}')
        self.assert_fails(self.bertcram("embed", "--model", folder, stdin="x"), INPUT, "default_prompt_name")
        self.assert_fails(self.bertcram("embed", "--model", self.folder_with_modules(["Transformer"], mean), stdin="x"),
                          INPUT, "names no Pooling")

    def test_weights_that_are_no_numbers_are_told(self):
        folder = self.copy(make_model(), "nan")
        make_nan(folder / "model.safetensors", "bert.embeddings.LayerNorm.bias")
        for command, stdin in ((["embed"], "the cat"), (["fill-mask"], "the [MASK]"), (["fill-mask", "--json"], "[MASK]")):
            with self.subTest(command=command):
                self.assert_fails(self.bertcram(*command, "--model", folder, stdin=stdin), INPUT, "not numbers")
        (self.dir / "x.jsonl").write_text('{"sentence_good": "the cat", "sentence_bad": "cat the"}\n')
        self.assert_fails(self.bertcram("eval", "--model", folder, "--blimp", self.dir / "x.jsonl"), INPUT, "not numbers")

    def test_mistakes(self):
        self.assert_fails(self.bertcram("embed", "--model", self.dir / "absent", stdin="x"), INPUT, "absent")
        self.assert_fails(self.bertcram("embed", "--model", make_model(), "--max-tokens", 2, stdin="x"), USAGE,
                          "--max-tokens", "at least 3")
        self.assert_fails(self.bertcram("embed", "--model", make_model(), "--pooling", "max", stdin="x"), USAGE, "mean",
                          "cls")


class FillMask(E2ETestCase):

    def test_people_see_tokens_and_probabilities(self):
        result = self.assert_ok(self.bertcram("fill-mask", "--model", make_model(), "--top-k", 3,
                                              stdin="the [MASK] sees the dog .\n"))
        lines = result.text.splitlines()
        self.assertEqual(lines[0], "the [MASK] sees the dog .")
        self.assertEqual(len(lines), 4)
        for line in lines[1:]:
            self.assertRegex(line, r"^  \d+\.\d %  \S+$")

    def test_blank_lines_have_no_gaps(self):
        result = self.assert_ok(self.bertcram("fill-mask", "--model", make_model(), "--json", stdin="a [MASK]\n\n[MASK]\n"))
        self.assertEqual([len(json.loads(line)["masks"]) for line in result.text.splitlines()], [1, 0, 1])

    def test_an_encoder_alone_has_no_guesses(self):
        folder = self.copy(make_model(), "encoder")
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(config | {"architectures": ["BertModel"]}))
        self.assert_fails(self.bertcram("fill-mask", "--model", folder, stdin="[MASK]"), INPUT, "masked-LM head", "embed")
        self.assert_ok(self.bertcram("embed", "--model", folder, stdin="a"))

    def test_mistakes_name_the_line(self):
        def fails(stdin, *fragments, model=None):
            result = self.bertcram("fill-mask", "--model", model or make_model(), "--json", stdin=stdin)
            self.assertEqual(result.code, INPUT, result)
            self.assertTrue(all(fragment in result.err for fragment in fragments), result)
            return result
        result = fails("a [MASK]\nno gap here\n", "line 2 of standard input", "[MASK]")
        self.assertEqual(len(result.text.splitlines()), 1)  # what came before was answered
        fails("[MASK] " + "the cat " * 200, "line 1", "tokens that the model takes")
        must(*finetune_args(make_task(self.dir / "task"), make_model(), self.dir / "out", 1, "--save-models", "all"))
        fails("[MASK]", "classifier", model=self.dir / "out" / "pets-seed0" / "model")


class MinimalPairs(E2ETestCase):

    def test_what_is_printed_for_people(self):
        (self.dir / "agreement.jsonl").write_text('{"sentence_good": "the cat sees .", "sentence_bad": "sees the ."}\n\n')
        result = self.assert_ok(self.bertcram("eval", "--model", make_model(), "--blimp", self.dir))
        self.assertRegex(result.text, r"^(0|100)\.0 %  agreement\n(0|100)\.00 % of the pairs, average of 1 paradigm\n$")

    def test_equal_sentences_are_no_success(self):
        lines = [json.dumps({"sentence_good": "the cat " * n + ".", "sentence_bad": "the CAT " * n + "."}) for n in range(1, 9)]
        (self.dir / "same.jsonl").write_text("\n".join(lines))
        result = self.assert_ok(self.bertcram("eval", "--model", make_model(), "--blimp", self.dir, "--json"))
        self.assertEqual(result.json, {"average": 0.0, "paradigms": {"same": 0.0}})

    def test_mistakes(self):
        def fails(*fragments, content=None, code=INPUT, more=()):
            if content is not None:
                (self.dir / "pairs").mkdir(exist_ok=True)
                (self.dir / "pairs" / "x.jsonl").write_text(content)
            self.assert_fails(self.bertcram("eval", "--model", make_model(), "--blimp", self.dir / "pairs", *more), code,
                              *fragments)
        fails("pairs: no such folder", "jsonl")
        (self.dir / "pairs").mkdir()
        fails("--blimp", "no *.jsonl files")
        good = '{"sentence_good": "the cat", "sentence_bad": "cat the"}\n'
        fails("x.jsonl:2", "sentence_bad", content=good + '{"sentence_good": "the cat"}\n')
        fails("x.jsonl:1", "sentence_good", content="no json\n")
        fails("x.jsonl:1", "empty", content='{"sentence_good": " ", "sentence_bad": "cat the"}\n')
        fails("x.jsonl", "no pair", content="\n")
        fails("x.jsonl", "x.jsonl:1", content='["sentence_good"]\n')
        fails("x: 'cat cat", "positions", content=json.dumps({"sentence_good": "cat " * 200, "sentence_bad": "x"}))
        fails("x:", "no token", content=json.dumps({"sentence_good": "cat", "sentence_bad": "\u200b\u0001"}))
        fails("give one of", content=good, code=USAGE, more=("--text", "some.txt"))


if __name__ == "__main__":
    unittest.main()
