"""bertcram bench: its figures, its sweep, and what it says where there is nothing to measure."""

import unittest

from support import RESOURCES, USAGE, E2ETestCase, environment, must

TINY = ["--set", "model.hidden=32", "--set", "model.layers=2", "--set", "model.heads=1", "--set", "model.ffn=64", "--vocab-size", "200",
        "--seq-len", "32", "--passes", "2", "--repeats", "2", "--threads", "1"]


class Bench(E2ETestCase):
    def test_json_has_what_the_design_promises(self):
        result = must("bench", *TINY, "--micro-batch", "2,4", "--precision", "fp32,bf16", "--operations", "--json").json
        self.assertEqual(result["device"], "cpu")
        self.assertEqual([(each["precision"], each["micro_batch"]) for each in result["results"]],
                         [("fp32", 2), ("fp32", 4), ("bf16", 2), ("bf16", 4)])
        fastest = max(result["results"], key=lambda each: each["tokens_per_second"]["median"])
        for key in ("micro_batch", "precision", "mfu", "peak_memory_bytes", "tokens_per_second"):
            self.assertEqual(result[key], fastest[key])
        for each in result["results"]:
            rate = each["tokens_per_second"]
            self.assertTrue(0 < rate["min"] <= rate["median"] <= rate["max"])
            self.assertAlmostEqual(each["mfu"], rate["median"] * result["flops_per_token"] / each["roofline_flops"], places=9)
            self.assertGreater(each["peak_memory_bytes"], 10 << 20)
            self.assertTrue(all(seconds > 0 for seconds in each["phases"].values()), each["phases"])
            step = sum(each["phases"].values())
            self.assertLess(step, 30 * 2 * 2 * 32 / rate["min"] + 1, "phases are those of one step")
            self.assertIn("aten::embedding", [operation["name"] for operation in each["operations"]])
            longest = [operation["seconds"] for operation in each["operations"]]
            self.assertEqual(longest, sorted(longest, reverse=True))

    def test_recomputed_activations_are_said(self):
        for recomputes in (False, True):
            options = [*TINY, "--micro-batch", "2", "--precision", "fp32", "--set", f"batch.recompute={str(recomputes).lower()}"]
            result = must("bench", *options, "--json").json
            self.assertIs(result["recompute"], recomputes)
            self.assertIs(result["results"][0]["recompute"], recomputes)
            self.assertEqual("2, recomputing" in must("bench", *options).text, recomputes)

    def test_switches_that_took_effect_are_said(self):
        gpu = {"BERTCRAM_CUDA_KERNELS": "on", "BERTCRAM_CUDA_GRAPHS": "on"}  # on a CPU they ask for nothing, and nothing is missed
        for switches, expected in (({}, []), ({"BERTCRAM_FUSED": "off"}, ["BERTCRAM_FUSED=off"]), (gpu, [])):
            with self.subTest(switches):
                result = must("bench", *TINY, "--device", "cpu", "--micro-batch", "2", "--precision", "fp32", "--json",
                              env=environment(**switches)).json
                self.assertEqual(result["switches"], expected)

    def test_a_table_for_people(self):
        text = must("bench", *TINY, "--micro-batch", "2").text
        for words in ("tokens/s", "% of roofline", "peak memory", "update %", "TFLOP/s"):
            self.assertIn(words, text)
        self.assertNotIn("operation", text)

    def test_sizes_that_do_not_fit_are_said_to(self):
        # A pass of 8,192 rows needs hundreds of MiB of activations, one of 2 a few.
        limit = ["--memory-limit", "400MiB"]
        result = must("bench", *TINY, *limit, "--micro-batch", "2,8192", "--json").json
        self.assertEqual([each.get("failure") for each in result["results"]], [None, "out of memory"])
        self.assert_fails(self.bertcram("bench", *TINY, *limit, "--micro-batch", "8192"), RESOURCES,
                          "try a smaller --micro-batch")

    def test_bad_options(self):
        for code, words, message in ((USAGE, ["--precision", "bf17"], "unknown 'bf17'"),
                                     (USAGE, ["--micro-batch", "0"], "'0' is no number of rows"),
                                     (USAGE, ["--micro-batch", "2,x"], "'x' is no number of rows"),
                                     (USAGE, ["--passes", "0"], "--passes"),
                                     (USAGE, ["--set", "model.heads=3"], "model.hidden 32 is not a multiple of model.heads 3"),
                                     (USAGE, ["--config", "nowhere.yaml"], "nowhere.yaml")):
            with self.subTest(words):
                self.assert_fails(self.bertcram("bench", *TINY, *words), code, message)


if __name__ == "__main__":
    unittest.main()
