"""What a run shows on a terminal: one line that is drawn again, a table that grows, and a summary; elsewhere plain lines."""

import json
import re
import shlex
import subprocess
import unittest

from support import BINARY, HUNG_SECONDS, E2ETestCase, environment, make_packed, must, pretrain_args

CLEAR = "\r\033[J"
BUSY_MACHINE = b"times as long as the ones before"  # the warning of a slow step: --quiet keeps warnings, and CI's machine may well be busy


class Terminal(E2ETestCase):

    def shown(self, columns, steps=1500, **values):
        """(live lines, lines that stay)"""
        settings = {"eval__every_steps": 500, **values}
        output = self.on_a_terminal(*pretrain_args(make_packed(), self.dir / f"run{columns}", steps, **settings),
                                    columns=columns).decode()
        parts = re.sub("\033\\[[0-9;]*m", "", output).replace("\r\n", "\n").split(CLEAR)
        live = [part for part in parts if part.startswith("pretrain ") and "\n" not in part]
        stays = [line for part in parts if part not in live for line in part.split("\n") if line]
        return live, stays

    def test_the_line_says_how_the_run_stands(self):
        live, stays = self.shown(160)
        self.assertTrue(live)
        number = r"[\d,.]+"
        self.assertRegex(live[-1], rf"^pretrain \[=* *\] step {number}, {number} % of the budget, .+ left, loss {number}, "
                                   rf"held out {number}, {number} tokens/s, lr {number}(e-\d+)?, MFU {number} %$")
        head = next(i for i, line in enumerate(stays) if "held out" in line and "change" in line)
        rows = [line.split() for line in stays[head + 1:] if re.match(r"^ +[\d,]+ +\d+\.\d{4}", line)]
        self.assertEqual([row[0] for row in rows], ["500", "1,000", "1,500"])
        self.assertFalse(any("held-out loss" in line for line in stays), stays)  # the table says it
        self.assertIn("held-out loss", (self.dir / "run160" / "run.log").read_text())  # the log too

    def test_it_fits_a_narrow_terminal(self):
        for columns in (80, 40, 24):
            live, stays = self.shown(columns, steps=300, eval__every_steps=100)
            self.assertTrue(live)
            self.assertLessEqual(max(map(len, live)), columns)
            self.assertTrue(live[-1].startswith("pretrain "), live[-1])
            self.assertIn("step ", live[-1])
            rows = [line for line in stays if re.match(r"^ +[\d,]+ +\d+\.\d{4}", line)]
            self.assertEqual(len(rows), 3, stays)
            self.assertLessEqual(max(map(len, rows)), columns)
            self.assertFalse(any(line.endswith(",") for line in live))  # parts are left out as wholes

    def test_elsewhere_there_are_plain_lines_and_quiet_is_quiet(self):
        result = must(*pretrain_args(make_packed(), self.dir / "run", 40, eval__every_steps=20))
        self.assertNotIn("\033", result.err)
        self.assertEqual(result.err.count("held-out loss"), 2)
        self.assertNotIn("change", result.err)
        output = self.on_a_terminal("--quiet", *pretrain_args(make_packed(), self.dir / "quiet", 40, eval__every_steps=20))
        said = [line for line in output.splitlines() if line and BUSY_MACHINE not in line]
        self.assertEqual(said, [])

    def test_before_the_first_line_of_metrics_a_row_has_no_figures_of_it(self):
        live, stays = self.shown(160, steps=15, eval__every_steps=5, log_every_steps=10)
        rows = [line.split("  ") for line in stays if re.match(r"^ +[\d,]+ +\d+\.\d{4}", line)]
        self.assertEqual(len(rows), 3, stays)
        words = [[word.strip() for word in row if word.strip()] for row in rows]
        self.assertEqual([len(row) for row in words], [5, 8, 8], stays)  # no change, loss and tokens/s in the first
        self.assertEqual([row[-2 if len(row) == 5 else -3] for row in words], ["33.3 %", "66.7 %", "100.0 %"])

    def test_a_terminal_that_cannot_clear_gets_plain_lines(self):
        for kind in ("dumb", ""):
            output = self.on_a_terminal(*pretrain_args(make_packed(), self.dir / f"run-{kind}", 40, eval__every_steps=20), TERM=kind)
            self.assertIn(b"held-out loss", output)
            self.assertNotIn(b"\033[J", output)

    def test_closed_streams_are_not_mistaken_for_files(self):
        run = self.dir / "run"
        words = shlex.join(map(str, [BINARY, *pretrain_args(make_packed(), run, 20)]))
        subprocess.run(["sh", "-c", f"exec {words} <&- >&- 2>&-"], check=True, env=environment(), timeout=HUNG_SECONDS)
        for line in (run / "metrics.jsonl").read_text().splitlines():
            json.loads(line)
        self.assertNotIn("next: bertcram", (run / "run.log").read_text())

    def test_the_summary_names_what_was_reached_and_what_comes_next(self):
        run = self.dir / "run"
        result = must(*pretrain_args(make_packed(), run, 40, eval__every_steps=10))
        self.assertRegex(result.text, r"^40 steps, [\d,]+ tokens, .+ of training, [\d,]+ tokens/s\n")
        self.assertIn(f"model in {run}/model\n", result.text)
        self.assertIn(f"report in {run}/report.html\n", result.text)
        self.assertIn(f"next: bertcram finetune-glue --model {run}/model --config finetune-mini.yaml\n", result.text)
        self.assertRegex(result.text, r"best of \d+ evaluations on the way: \d+\.\d{4} at step (10|20|30|40)\n")


if __name__ == "__main__":
    unittest.main(verbosity=2)
