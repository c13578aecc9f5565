"""bertcram plan: cards, budgets, this machine, and what it says where a model does not fit."""

import json
import pathlib
import unittest

from support import ROOT, USAGE, E2ETestCase, environment, make_packed, must

SMALL = ["--set", "model.arch=bert", "--set", "model.hidden=256", "--set", "model.layers=4", "--set", "model.heads=4", "--set",
         "model.ffn=1024"]


class Cards(E2ETestCase):
    def test_json_of_a_card(self):
        result = must("plan", "--config", "base.yaml", "--gpu", "RTX 3060 Ti", "--budget", "100h", "--json").json
        self.assertEqual(result["machine"], "GeForce RTX 3060 Ti")
        self.assertTrue(result["fits"], result["advice"])
        self.assertEqual(sum(size for name, size in result["memory_bytes"].items() if name != "total"), result["memory_bytes"]["total"])
        self.assertLessEqual(result["memory_bytes"]["total"], result["memory_limit_bytes"])
        self.assertEqual(result["memory_limit_bytes"], 8 << 30)
        self.assertLessEqual(result["micro_batch"], result["largest_micro_batch"])
        budget = result["budget"]
        self.assertAlmostEqual(budget["seconds"], 360_000, delta=1)
        # The small steps of the ramp have more updates than the full ones that the rate is of.
        self.assertLess(budget["tokens"] / result["tokens_per_second"], 360_000)
        self.assertGreater(budget["tokens"] / result["tokens_per_second"], 0.99 * 360_000)
        self.assertGreater(budget["steps"], 2.5 * budget["tokens"] / (4096 * 128))
        self.assertAlmostEqual(budget["kilowatt_hours"], 20, places=3)
        self.assertAlmostEqual(budget["flops"], budget["tokens"] * result["flops_per_token"], delta=1e9)
        self.assertAlmostEqual(sum(task["seconds"] for task in result["glue"]["tasks"].values()), result["glue"]["seconds"])
        self.assertEqual(len(result["glue"]["tasks"]), 9)

    def test_rows_longer_than_the_model_takes_are_refused_as_pretrain_does(self):
        card = ["plan", "--config", "base.yaml", "--gpu", "3060ti", "--json"]
        self.assert_fails(self.bertcram(*card, "--seq-len", 512), USAGE, "model.max_positions 256", "rows of 512",
                          "--set model.max_positions=512", "--seq-len 256")
        self.assertEqual(must(*card, "--seq-len", 512, "--set", "model.max_positions=512").json["seq_len"], 512)
        data = ["--data", make_packed(), "--set", "model.max_positions=16"]
        self.assert_fails(self.bertcram(*card, *data), USAGE, "model.max_positions 16", "rows of 32", "--seq-len 16")
        self.assertEqual(must(*card, "--set", "model.max_positions=64").json["seq_len"], 64)

    def test_work_is_said_in_a_unit_that_fits(self):
        card = ["plan", "--gpu", "3060ti", "--config", "base.yaml"]
        self.assertRegex(must(*card, "--tokens", "2B").text, r", 1\.\d{3} exaFLOP")
        self.assertRegex(must(*card, "--tokens", "2M").text, r", 1\.\d{3} petaFLOP")
        self.assertRegex(must(*card, "--tokens", "20k").text, r", 1\d\.\d teraFLOP")

    def test_counts_are_read_as_people_write_them(self):
        card = ["plan", "--gpu", "3060ti", "--json"]
        written = must(*card, "--tokens", "2.3B", "--vocab-size", "32k", "--set", "batch.rows=1e3").json
        self.assertEqual(written, must(*card, "--tokens", 2_300_000_000, "--vocab-size", 32_000, "--set", "batch.rows=1000").json)

    def test_every_installed_config_has_a_plan(self):
        for config in sorted((ROOT / "configs").glob("*.yaml")):
            if "finetune" in config.name:
                continue
            with self.subTest(config.name):
                text = must("plan", "--config", config, "--gpu", "3090", "--budget", "1h").text
                for words in ("tokens/s", "GLUE", "kWh", "by its data sheet"):
                    self.assertIn(words, text)

    def test_a_number_of_steps_is_that_of_the_batch_ramp(self):
        budget = must("plan", "--config", "base.yaml", "--gpu", "3060ti", "--steps", 10_000, "--json").json["budget"]
        self.assertEqual(budget["steps"], 10_000)
        self.assertEqual(budget["tokens"], 3_669_770_240)

    def test_a_memory_limit_is_kept(self):
        def largest(*words):
            return must("plan", "--config", "bert-base.yaml", "--gpu", "3090", *words, "--json").json["largest_micro_batch"]

        self.assertGreater(largest(), largest("--memory-limit", "8GiB"))
        self.assertGreater(largest("--memory-limit", "8GiB"), largest("--memory-limit", "4GiB"))

    def test_a_card_is_not_all_ours_unless_a_limit_leaves_the_rest(self):
        large = ["plan", "--config", "large.yaml", "--gpu", "3060ti"]
        self.assertRegex(must(*large).text, r"driver and desktop +512\.0 MiB")
        self.assertEqual(must(*large, "--memory-limit", "99GiB", "--json").json["largest_micro_batch"],
                         must(*large, "--json").json["largest_micro_batch"])
        self.assertNotIn("driver and desktop", must(*large, "--memory-limit", "7.5GiB").text)
        whole, limited = (must(*large, *words, "--json").json for words in ([], ["--memory-limit", "7.5GiB"]))
        self.assertEqual(whole["largest_micro_batch"], limited["largest_micro_batch"])
        self.assertEqual(whole["memory_bytes"]["driver_and_desktop"], 512 << 20)
        self.assertEqual(limited["memory_bytes"]["driver_and_desktop"], 0)

    def test_what_does_not_fit_is_said_with_what_would_help(self):
        big = ["--set", "model.hidden=4096", "--set", "model.heads=32", "--set", "model.ffn=16384", "--set", "model.layers=48"]
        text = must("plan", "--gpu", "3060ti", *big).text
        self.assertIn("it does not fit", text)
        self.assertIn("fewer model.layers", text)
        for limit, advice in (("100GB", "a card with more memory"), ("4GiB", "a larger --memory-limit")):
            self.assertIn(advice, must("plan", "--gpu", "3060ti", "--memory-limit", limit, *big).text)
        result = must("plan", "--gpu", "3060ti", *big, "--json").json
        self.assertFalse(result["fits"])
        self.assertEqual(result["largest_micro_batch"], 0)

    def test_the_list_and_what_is_not_in_it(self):
        text = must("plan", "--gpu", "list").text
        for words in ("3060ti", "GeForce RTX 4090", "TFLOP/s"):
            self.assertIn(words, text)
        self.assertGreater(len(must("plan", "--gpu", "list", "--json").json["cards"]), 30)
        self.assert_fails(self.bertcram("plan", "--gpu", "9999xt"), USAGE, "no card '9999xt' in the list")
        self.assert_fails(self.bertcram("plan", "--gpu", "3060ti", "--set", "model.heads=7"), USAGE, "model.heads 7")

    def test_what_contradicts_itself_on_one_command_line_is_refused(self):
        card = ["plan", "--gpu", "3060ti"]
        for more, fragments in [
                (["--budget", "100h", "--tokens", 1000000], ["more than one budget", "--tokens N"]),
                (["--set", "budget.steps=5", "--tokens", 1000000], ["more than one budget"]),
                (["--budget", "15"], ["15s, 15m or 15h"]),
                (["--device", "cpu"], ["--gpu 3060ti", "--device cpu"]),
                (["--set", "runtime.device=cpu"], ["--gpu 3060ti", "--device cpu"]),
                (["--data", make_packed(), "--vocab-size", 500], ["--vocab-size 500", make_packed()]),
                (["--data", make_packed(), "--seq-len", 64], ["--seq-len 64", "has 32"])]:
            with self.subTest(more=more):
                self.assert_fails(self.bertcram(*card, *more), USAGE, *fragments)

    def test_a_budget_takes_the_place_of_a_presets_and_what_agrees_is_no_contradiction(self):
        (self.dir / "mine.yaml").write_text(f"budget: {{time: 2h}}\nruntime: {{device: cpu}}\ndata: {make_packed()}\n")
        mine = ["plan", "--gpu", "3060ti", "--config", self.dir / "mine.yaml", "--json"]
        self.assertEqual(must(*mine, "--tokens", 1000000).json["budget"]["tokens"], 1000000)
        self.assertAlmostEqual(must(*mine, "--budget", "1h").json["budget"]["seconds"], 3600, delta=1)
        self.assertEqual(must(*mine, "--seq-len", 64).json["seq_len"], 64)
        self.assertEqual(must(*mine, "--data", make_packed(), "--seq-len", 32).json["seq_len"], 32)


class ThisMachine(E2ETestCase):
    def test_memory_is_what_bench_then_needs_and_its_speed_is_taken_up(self):
        env = environment(XDG_CACHE_HOME=str(self.dir / "cache"))
        options = [*SMALL, "--precision", "fp32", "--threads", "1"]
        before = must("plan", *options, "--set", "batch.micro_rows=16", "--set", "batch.rows=32", "--json", env=env).json
        self.assertNotIn("bench", before)
        self.assertTrue(before["is_measured"])
        self.assertEqual(before["calibration"], 1)
        measured = must("bench", *options, "--micro-batch", "16", "--passes", "2", "--repeats", "2", "--json", env=env).json
        # Resident memory of a whole process; docs/benchmarks.md has how near larger models come.
        self.assertAlmostEqual(before["memory_bytes"]["total"] / measured["peak_memory_bytes"], 1, delta=0.12)
        after = must("plan", *options, "--set", "batch.micro_rows=16", "--set", "batch.rows=32", "--json", env=env).json
        self.assertEqual(after["bench"]["measured"], measured["tokens_per_second"]["median"])
        self.assertAlmostEqual(after["calibration"], after["bench"]["measured"] / after["bench"]["predicted"], places=9)
        records = json.loads((self.dir / "cache/bertcram/machines.json").read_text())
        named = [line.split(":", 1)[1].strip() for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines()
                 if line.startswith("model name")]
        self.assertEqual(list(records), [f"cpu {named[0] if named else ''}, 1 threads, fp32, sums"])
        self.assertIn("as 'bertcram bench' measured", must("plan", *options, env=env).text)


if __name__ == "__main__":
    unittest.main()
