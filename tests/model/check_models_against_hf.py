"""Models of Hugging Face transformers with random weights, computed by bertcram: states, logits, gradients, layouts.

Usage: check_models_against_hf.py PROBE_MODEL_BINARY VOCAB_TXT. Prints the largest relative difference of each case,
relative to the largest magnitude of the tensor. Bounds are those that the project promises: 1e-5 for states and logits,
1e-4 for gradients, in fp32; bf16 may be as far from fp32 as transformers' own bf16 is, and half as much again.
"""
import json
import pathlib
import subprocess
import sys
import tempfile

import torch
import transformers
from safetensors.torch import load_file, save_file

STATES_BOUND = 1e-5
GRADIENTS_BOUND = 1e-4
BF16_FACTOR = 1.5

BERT_SHAPES = [dict(hidden_size=64, num_hidden_layers=2, num_attention_heads=4, intermediate_size=128),
               dict(hidden_size=48, num_hidden_layers=5, num_attention_heads=3, intermediate_size=100,
                    max_position_embeddings=40, layer_norm_eps=1e-7),
               dict(hidden_size=128, num_hidden_layers=1, num_attention_heads=2, intermediate_size=512)]
MODERN_SHAPES = [dict(hidden_size=64, num_hidden_layers=3, num_attention_heads=4, intermediate_size=96,
                      global_attn_every_n_layers=1, global_rope_theta=10000.0),
                 dict(hidden_size=48, num_hidden_layers=7, num_attention_heads=3, intermediate_size=100, norm_eps=1e-7,
                      global_attn_every_n_layers=3, local_attention=8, max_position_embeddings=40),
                 dict(hidden_size=128, num_hidden_layers=4, num_attention_heads=2, intermediate_size=64,
                      global_attn_every_n_layers=2, local_attention=20)]
SEQ = 30
LENGTHS = [17, 5, 30, 1, 17, 17]


class Comparison:
    def __init__(self):
        self.failures = []

    def check(self, what, difference, bound):
        print(f"{what}: {difference:.2e} (bound {bound:.2e})")
        if not difference < bound:
            self.failures.append(what)


def relative(mine, reference):
    return ((mine - reference).abs().max() / reference.abs().max()).item()


def random_model(kind, vocab, folder, seed, **sizes):
    """Saved with its tokenizer; biases and norms are not all zeros and ones, or a mix-up would not show."""
    torch.manual_seed(seed)
    size = len(pathlib.Path(vocab).read_text(encoding="utf-8").split("\n")) - 1
    model_class = getattr(transformers, kind)
    settings = dict(vocab_size=size, pad_token_id=0, initializer_range=0.1, attn_implementation="eager")
    if kind.startswith("Modern"):
        settings.update(bos_token_id=None, eos_token_id=None, cls_token_id=None, sep_token_id=None)
    else:
        settings.update(hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    model = model_class(model_class.config_class(**settings, **sizes)).eval()
    for parameter in model.parameters():
        if parameter.dim() == 1:
            parameter.data += 0.1 * torch.randn_like(parameter)
    model.save_pretrained(folder)
    transformers.BertTokenizerFast(vocab=str(vocab)).save_pretrained(folder)
    return model


def random_input(size):
    lengths = torch.tensor(LENGTHS)
    mask = torch.arange(SEQ)[None] < lengths[:, None]
    positions = mask.flatten().nonzero().flatten()[::3].contiguous()
    return {"ids": torch.randint(5, size, (len(LENGTHS), SEQ)), "token_types": torch.randint(0, 2, (len(LENGTHS), SEQ)),
            "lengths": lengths, "positions": positions, "targets": torch.randint(5, size, (len(positions),))}, mask


def outputs_of(model, inputs, mask):
    arguments = {"input_ids": inputs["ids"], "attention_mask": mask.long(), "output_hidden_states": True}
    if model.config.model_type == "bert":
        arguments["token_type_ids"] = inputs["token_types"]
    result = model(**arguments)
    base = getattr(model, model.base_model_prefix, model)
    states = base(**arguments).last_hidden_state
    return states, getattr(result, "logits", None)


def compare_outputs(comparison, name, got, states, logits, mask, bound):
    comparison.check(f"{name} states", relative(got["states"][mask], states[mask]), bound)
    comparison.check(f"{name} states, sequences in one row", relative(got["flat.states"][0], states[mask]), bound)
    if logits is not None:
        mine, flat = got["logits"], got["flat.logits"]
        if logits.dim() == 3:  # what stands at padding is nobody's business
            mine, flat, logits = mine[mask], flat[0], logits[mask]
        comparison.check(f"{name} logits", relative(mine, logits), bound)
        comparison.check(f"{name} logits, sequences in one row", relative(flat, logits), bound)


def compare_gradients(comparison, name, got, model, inputs, mask):
    model.zero_grad()
    _, logits = outputs_of(model, inputs, mask)
    chosen = logits.flatten(0, 1)[inputs["positions"]]
    loss = torch.nn.functional.cross_entropy(chosen, inputs["targets"], reduction="sum")
    loss.backward()
    comparison.check(f"{name} loss", abs(got["gradient.loss"].item() / loss.item() - 1), STATES_BOUND)
    worst = same = 0.0
    seen = set()
    for parameter_name, parameter in model.named_parameters():
        mine = got["gradient." + parameter_name]
        seen.add("gradient." + parameter_name)
        scale = parameter.grad.abs().max().item()
        if parameter_name.endswith("key.bias"):  # zero but for rounding: a constant added to all keys changes nothing
            assert mine.abs().max().item() < 1e-4 and scale < 1e-4
            continue
        assert scale > 0, parameter_name
        worst = max(worst, relative(mine, parameter.grad))
        same = max(same, (mine - got["recomputed." + parameter_name]).abs().max().item())
    left = {key for key in got if key.startswith("gradient.")} - seen - {"gradient.loss"}
    assert not left, left
    comparison.check(f"{name} gradients", worst, GRADIENTS_BOUND)
    comparison.check(f"{name} gradients, recomputed against not", same, 1e-30)


def check_export(folder, exported, kind):
    """Byte-identical tensors, and a folder that transformers loads with nothing missing or left."""
    before, after = load_file(f"{folder}/model.safetensors"), load_file(f"{exported}/model.safetensors")
    decoder = {"cls.predictions.decoder.weight", "cls.predictions.decoder.bias", "decoder.weight"}
    left_out = {"pooler.dense.weight", "pooler.dense.bias"} if kind == "BertModel" else set()
    names = {name if kind not in ("BertModel", "ModernBertModel") else
             ("bert." if kind == "BertModel" else "model.") + name: name for name in before.keys() - decoder - left_out}
    assert names.keys() == after.keys(), names.keys() ^ after.keys()
    for ours, theirs in names.items():
        assert before[theirs].dtype == after[ours].dtype and before[theirs].numpy().tobytes() == after[ours].numpy().tobytes()
    assert (pathlib.Path(exported) / "config.json").exists()
    _, report = getattr(transformers, kind).from_pretrained(exported, output_loading_info=True)
    missing = {name for name in report["missing_keys"] if "pooler" not in name or kind != "BertModel"}
    assert not missing and not report["unexpected_keys"] and not report["mismatched_keys"], report
    config = json.loads((pathlib.Path(exported) / "config.json").read_text())
    assert config["architectures"] == [kind]


def case(comparison, binary, vocab, kind, seed, **sizes):
    name = f"{kind} {seed}"
    with tempfile.TemporaryDirectory() as folder:
        model = random_model(kind, vocab, folder, seed, **sizes)
        inputs, mask = random_input(model.config.vocab_size)
        if not kind.endswith("ForMaskedLM"):
            del inputs["positions"], inputs["targets"]
        save_file(inputs, f"{folder}/in.safetensors")

        def probe(precision, *rest):
            subprocess.run([binary, folder, f"{folder}/in.safetensors", f"{folder}/out.safetensors", precision, *rest],
                           check=True)
            return load_file(f"{folder}/out.safetensors")

        got = probe("fp32", f"{folder}/export")
        check_export(folder, f"{folder}/export", kind)
        with torch.no_grad():
            states, logits = outputs_of(model, inputs, mask)
        compare_outputs(comparison, name, got, states, logits, mask, STATES_BOUND)
        if kind.endswith("ForMaskedLM"):
            compare_gradients(comparison, name, got, model, inputs, mask)
        with torch.no_grad():
            half_states, half_logits = outputs_of(model.to(torch.bfloat16), inputs, mask)
        theirs = relative(half_states.float()[mask], states[mask])
        if half_logits is not None:
            their_logits, true_logits = half_logits.float(), logits
            if logits.dim() == 3:
                their_logits, true_logits = their_logits[mask], true_logits[mask]
            theirs = max(theirs, relative(their_logits, true_logits))
        compare_outputs(comparison, name + " bf16", probe("bf16"), states, logits, mask, BF16_FACTOR * theirs)


def main():
    binary, vocab = sys.argv[1:3]
    comparison = Comparison()
    heads = (("ForMaskedLM", {}), ("Model", {}), ("ForSequenceClassification", {"num_labels": 3}),
             ("ForTokenClassification", {"num_labels": 2}))
    for family, shapes in (("Bert", BERT_SHAPES), ("ModernBert", MODERN_SHAPES)):
        for seed, sizes in enumerate(shapes):
            for head, extra in heads:
                if family == "ModernBert" and seed == 1 and head == "ForSequenceClassification":
                    extra = {**extra, "classifier_pooling": "mean"}
                case(comparison, binary, vocab, family + head, seed, **sizes, **extra)
    print("\n".join(["out of bounds:", *comparison.failures]) if comparison.failures else "all within their bounds")
    return 1 if comparison.failures else 0


if __name__ == "__main__":
    sys.exit(main())
