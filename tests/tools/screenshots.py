#!/usr/bin/env python3
"""Takes the pictures of scripts/screenshots.sh into the folder that is given."""

import pathlib
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
from browser import Browser
from dashboards import Dashboard, SimulatedRun
from support import must

GLUE = {"cola": 38.9, "sst2": 88.4, "mrpc": 85.7, "stsb": 82.3, "qqp": 86.9, "mnli": 77.8, "mnli_mm": 78.4, "qnli": 84.8,
        "rte": 58.1}


def make_runs(folder):
    """The names of three runs: one that goes on, one that is done, one that stopped."""
    going = SimulatedRun(folder, "base-100h", seed=1, budget_steps=29_800, on_gpu=True)
    going.advance(18_500, every=25, evaluate_every=1500)
    going.append({"event": "start", "step": 18_500, "version": "0.1.0", "commit": "4f1c0de", "torch_version": "2.11.0",
                  "device": "cpu (2 threads), fp32", "seed": 1, "parameters": 31_400_000, "flops_per_token": 1.9e8})
    going.advance(600, every=25, evaluate_every=1500)
    done = SimulatedRun(folder, "base-24h", seed=2, budget_steps=7150, quality=1.12)
    done.advance(7150, every=10, evaluate_every=400, state="finished", heartbeat_age=4000)
    done.glue(**GLUE)
    stopped = SimulatedRun(folder, "sweep/lr-3e-3", seed=3, budget_steps=7150, quality=1.2)
    stopped.advance(2900, every=10, evaluate_every=400, state="stopped", heartbeat_age=90_000)
    diverged = SimulatedRun(folder, "sweep/lr-1e-2", seed=10, budget_steps=7150, quality=1.6)
    diverged.advance(900, every=10, evaluate_every=400, state="diverged", heartbeat_age=80_000)
    return done


def main():
    output = pathlib.Path(sys.argv[1])
    with tempfile.TemporaryDirectory() as scratch:
        runs = pathlib.Path(scratch) / "runs"
        done = make_runs(runs)
        must("report", done.path)
        with Dashboard(runs) as dashboard:
            ids = {name: row["id"] for name, row in dashboard.runs().items()}
            compare = ",".join(ids[name] for name in ("base-100h", "base-24h", "sweep/lr-3e-3"))
            loaded = "document.querySelector('figure:not([hidden])')?.dataset.points"
            for name, address, settings, condition, whole in (
                    ("dashboard-wide", f"#/run/{ids['base-100h']}", {"width": 1440, "height": 1000}, loaded, False),
                    ("dashboard-dark", f"#/run/{ids['base-24h']}", {"width": 1440, "height": 1000, "dark": True}, loaded, False),
                    ("dashboard-compare", f"#/compare/{compare}", {"width": 1440, "height": 820}, loaded, False),
                    ("dashboard-phone", f"#/run/{ids['base-100h']}", {"width": 390, "height": 844}, loaded, False),
                    ("dashboard-phone-list", "#/", {"width": 390, "height": 844}, "document.querySelector('#list li')", False)):
                with Browser(**settings) as browser:
                    browser.open(dashboard.url + address)
                    browser.wait(condition)
                    if address != "#/":
                        browser.wait("document.querySelector('.more section, .head table')")
                    browser.screenshot(output / f"{name}.png", whole)
        with Browser(width=900, height=1200) as browser:
            browser.open((done.path / "report.html").as_uri())
            browser.screenshot(output / "report.png")


if __name__ == "__main__":
    main()
