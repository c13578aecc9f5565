#!/usr/bin/env bash
# Sends training runs to Weights & Biases: every number of metrics.jsonl by its step, and the configuration.
#   scripts/wandb_sync.sh [--project NAME] RUN…     RUN: output folders of `bertcram pretrain`
# Needs a Python with wandb (pip install wandb), named by PYTHON if it is not python3, and an account (wandb login). With
# WANDB_MODE=offline nothing is sent: `wandb sync` does that later. A run that went on is sent
# again, whole, as a run of its own in the same group: W&B takes each step once.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

case "${1:-}" in
  -h | --help) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//p}' "$0" && exit 0 ;;
esac

project=bertcram
if [ "${1:-}" = --project ]; then
  [ $# -ge 2 ] || die 2 "--project needs a name"
  project=$2
  shift 2
fi
[ $# -ge 1 ] || die 2 "no run given; usage: scripts/wandb_sync.sh [--project NAME] RUN…"
python=${PYTHON:-python3}
"$python" -c 'import wandb, yaml' 2>/dev/null || die 4 "$python has no wandb; pip install wandb, and log in with 'wandb login'"
for run in "$@"; do
  [ -f "$run/metrics.jsonl" ] || die 3 "$run: no metrics.jsonl; expected the --output folder of 'bertcram pretrain'"
done

exec "$python" - "$project" "$@" <<'PYTHON'
import hashlib
import json
import pathlib
import sys

import wandb
import yaml


def tag(key, line):
    """As in the event files: train/loss of loss; of an evaluation eval/loss of eval_loss and eval/tokens of tokens."""
    return f"eval/{key.removeprefix('eval_')}" if "eval_loss" in line else f"train/{key}"


def numbers_by_step(file):
    steps = {}
    for text in file.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            line = json.loads(text)
        except ValueError:
            continue  # being written, or damaged
        if isinstance(line, dict) and "event" not in line and isinstance(line.get("step"), int):
            numbers = {tag(key, line): value for key, value in line.items() if key != "step" and isinstance(value, (int, float))}
            steps.setdefault(line["step"], {}).update(numbers)
    return steps


project, *folders = sys.argv[1:]
for folder in map(pathlib.Path, folders):
    whole = folder.resolve()
    config = whole / "config.yaml"
    # W&B takes each step of a run once: the id changes with what was written, never with the time of sending.
    key = f"{whole} {(whole / 'metrics.jsonl').stat().st_size}"
    with wandb.init(project=project, name=whole.name, id=hashlib.sha256(key.encode()).hexdigest()[:12], group=str(whole),
                    config=yaml.safe_load(config.read_text()) if config.exists() else {}) as run:
        for step, numbers in sorted(numbers_by_step(whole / "metrics.jsonl").items()):
            run.log(numbers, step=step)
PYTHON
