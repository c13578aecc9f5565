"""Writes metrics_golden.json: random and degenerate cases scored by scikit-learn and SciPy.

Run it in a scratch environment: python -m venv V && V/bin/pip install scikit-learn==1.9.1 scipy==1.17.1 numpy==2.4.6
&& V/bin/python tests/glue/make_metrics_golden.py
"""

import json
import math
import pathlib
import sys
import warnings

import numpy
import scipy
import sklearn
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef

SEED = 20240613


def classification_case(name, predictions, labels):
    predictions, labels = [int(p) for p in predictions], [int(t) for t in labels]
    expected = {
        "accuracy": float(accuracy_score(labels, predictions)),
        "matthews": float(matthews_corrcoef(labels, predictions)),
    }
    if max(predictions + labels) <= 1:
        expected["f1"] = float(f1_score(labels, predictions, pos_label=1, zero_division=0))
    return {"name": name, "predictions": predictions, "labels": labels, "expected": expected}


def regression_case(name, predictions, targets):
    predictions, targets = [float(p) for p in predictions], [float(t) for t in targets]
    expected = {"pearson": float(pearsonr(predictions, targets)[0]), "spearman": float(spearmanr(predictions, targets)[0])}
    expected = {key: None if math.isnan(value) else value for key, value in expected.items()}  # nan: constant input
    return {"name": name, "predictions": predictions, "targets": targets, "expected": expected}


def classification_cases(rng):
    for size, classes, skill in [(2, 2, 0.5), (3, 2, 0.5), (10, 2, 0.7), (57, 2, 0.9), (277, 2, 0.55), (408, 2, 0.85),
                                 (40, 3, 0.4), (300, 3, 0.8), (150, 7, 0.6), (90, 2, 0.0)]:
        labels = rng.integers(0, classes, size)
        predictions = numpy.where(rng.random(size) < skill, labels, rng.integers(0, classes, size))
        yield classification_case(f"random n={size} classes={classes} skill={skill}", predictions, labels)
    labels = (rng.random(200) < 0.03).astype(int)
    yield classification_case("rare positives", rng.random(200) < 0.1, labels)
    yield classification_case("constant prediction 1", [1] * 6, [0, 1, 1, 0, 1, 0])
    yield classification_case("constant prediction 0", [0] * 6, [0, 1, 1, 0, 1, 0])
    yield classification_case("constant labels", [0, 1, 1, 0], [1, 1, 1, 1])
    yield classification_case("all zero on both sides", [0, 0, 0], [0, 0, 0])
    yield classification_case("all one on both sides", [1, 1], [1, 1])
    yield classification_case("all wrong", [1, 0, 1, 0, 0], [0, 1, 0, 1, 1])
    yield classification_case("single example", [1], [1])
    yield classification_case("three classes, one never predicted", [0, 1, 0, 1, 0, 1], [0, 1, 2, 2, 0, 1])


def regression_cases(rng):
    for size, noise in [(3, 1.0), (10, 0.5), (100, 0.1), (277, 3.0), (500, 0.02)]:
        targets = rng.random(size) * 5
        yield regression_case(f"random n={size} noise={noise}", targets + noise * rng.normal(size=size), targets)
    targets = numpy.round(rng.random(120) * 5)
    yield regression_case("many ties", numpy.round(targets + rng.normal(size=120)), targets)
    yield regression_case("reversed", numpy.arange(20)[::-1], numpy.arange(20) ** 3)
    yield regression_case("large offset", 1e6 + rng.random(50), rng.random(50) * 5)
    yield regression_case("tiny values", 1e-200 * rng.random(30), rng.random(30))
    yield regression_case("two points", [0.3, 0.1], [1, 5])
    yield regression_case("constant prediction", [2.5] * 7, rng.random(7))
    yield regression_case("constant targets", rng.random(7), [1.0] * 7)
    yield regression_case("two ranks only", [1, 1, 1, 2, 1, 2], [0, 5, 0, 5, 0, 5])


def main():
    warnings.simplefilter("ignore")
    rng = numpy.random.default_rng(SEED)
    document = {
        "origin": {
            "script": "tests/glue/make_metrics_golden.py",
            "seed": SEED,
            "python": sys.version.split()[0],
            "numpy": numpy.__version__,
            "scikit-learn": sklearn.__version__,
            "scipy": scipy.__version__,
        },
        "classification": list(classification_cases(rng)),
        "regression": list(regression_cases(rng)),
    }
    text = json.dumps(document).replace('{"name"', '\n{"name"')
    pathlib.Path(__file__).with_name("metrics_golden.json").write_text(text + "\n")


main()
