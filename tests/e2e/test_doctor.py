"""bertcram doctor: what it finds here, and what it says where something is missing."""

import os
import shutil
import unittest

from support import BINARY, DONE, RESOURCES, E2ETestCase, environment, must


class Doctor(E2ETestCase):
    def test_what_is_here(self):
        result = must("doctor", "--json", cwd=self.dir).json
        self.assertTrue(result["fit"])
        checks = {check["what"]: check for check in result["checks"]}
        self.assertEqual(set(checks), {"LibTorch", "GPU", "processor", "memory", "disk", "temporary folder", "Parquet", "presets"})
        self.assertRegex(checks["LibTorch"]["found"], r"^2\.\d+")
        self.assertIn(str(self.dir), checks["disk"]["found"])
        self.assertEqual({check["state"] for check in result["checks"]} - {"good", "note"}, set())
        for check in result["checks"]:
            self.assertEqual(check["advice"] == "", check["state"] == "good", check)
        text = must("doctor").text
        self.assertIn(f"Training takes {result['runtime']} here.\n", text)
        for what, check in checks.items():
            self.assertRegex(text, rf"(?m)^{what} +{check['state']} ")

    def test_without_libtorch(self):
        alone = self.dir / "bertcram"
        shutil.copy(BINARY, alone)
        result = self.bertcram("doctor", "--json", binary=alone)
        self.assertEqual(result.code, RESOURCES, result)
        self.assertFalse(result.json["fit"])
        checks = {check["what"]: check["state"] for check in result.json["checks"]}
        self.assertEqual((checks["LibTorch"], checks["Parquet"], checks["presets"]), ("missing", "note", "note"))
        self.assertEqual(len(result.error_lines), 1)
        self.assertIn("setup.sh", result.error_lines[0])

    def test_a_card_without_libtorchs_cuda_libraries(self):
        fake = os.environ.get("BERTCRAM_CUDA_FOLDER", BINARY.parent / "fake_cuda")
        result = self.bertcram("doctor", env=environment(LD_LIBRARY_PATH=fake))
        self.assertEqual(result.code, RESOURCES, result)
        self.assertRegex(result.text, r"(?m)^GPU +missing +Imaginary RTX, 8\.0 GiB$")
        self.assertIn("run ./scripts/setup.sh here", result.error_lines[-1])

    def test_a_card_that_libtorch_has_no_kernels_for(self):
        fake = os.environ.get("BERTCRAM_CUDA_FOLDER", BINARY.parent / "fake_cuda")
        old = environment(LD_LIBRARY_PATH=fake, FAKE_CUDA_CAPABILITY="70")  # a V100
        result = self.bertcram("doctor", env=old)
        self.assertEqual(result.code, DONE, result)
        self.assertRegex(result.text, r"(?m)^GPU +note +Imaginary RTX, 8\.0 GiB$")
        self.assertIn("RTX 20", result.text)
        told = self.bertcram("bench", "--config", "tiny.yaml", "--set", "runtime.device=cuda", env=old)
        self.assertEqual(told.code, RESOURCES, told)
        self.assertIn("runtime.device=cuda: Imaginary RTX is older than the RTX 20 cards", told.error_lines[-1])

    def test_a_place_without_a_temporary_folder(self):
        self.tmp.rmdir()
        result = self.bertcram("doctor", "--json")
        self.tmp.mkdir()
        self.assertEqual(result.code, DONE, result)
        found = next(check for check in result.json["checks"] if check["what"] == "temporary folder")
        self.assertEqual(found["state"], "note")
        self.assertIn(str(self.tmp), found["found"])


if __name__ == "__main__":
    unittest.main()
