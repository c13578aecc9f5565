"""Logits and hidden states of bertcram against Hugging Face transformers, fp32, random weights, padded batches.

Usage: check_logits_against_hf.py DUMP_LOGITS_BINARY VOCAB_TXT. Prints the largest relative difference of each case.
Relative to the largest magnitude of the tensor; the bound is the 1e-5 that the project promises.
"""
import pathlib
import subprocess
import sys
import tempfile

import torch
from safetensors.torch import load_file, save_file
from transformers import BertConfig, BertForMaskedLM, BertForSequenceClassification, BertTokenizerFast

BOUND = 1e-5


def case(binary, vocab, folder, model_class, seed, **sizes):
    torch.manual_seed(seed)
    size = len(pathlib.Path(vocab).read_text(encoding="utf-8").split("\n")) - 1
    config = BertConfig(vocab_size=size, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
                        initializer_range=0.1, **sizes)
    model = model_class(config).eval()
    for name, parameter in model.named_parameters():
        if name.endswith("bias") or "LayerNorm" in name:  # not all zeros and ones, or a mix-up would not show
            parameter.data += 0.1 * torch.randn_like(parameter)
    model.save_pretrained(folder)
    BertTokenizerFast(vocab=str(vocab)).save_pretrained(folder)
    lengths = torch.tensor([17, 5, 30, 1])
    ids = torch.randint(5, size, (4, 30))
    types = torch.randint(0, 2, (4, 30))
    mask = (torch.arange(30)[None] < lengths[:, None]).long()
    save_file({"ids": ids, "token_types": types, "lengths": lengths}, f"{folder}/in.safetensors")
    subprocess.run([binary, folder, f"{folder}/in.safetensors", f"{folder}/out.safetensors"], check=True)
    got = load_file(f"{folder}/out.safetensors")
    with torch.no_grad():
        wanted = model(input_ids=ids, token_type_ids=types, attention_mask=mask, output_hidden_states=True)
    worst = 0.0
    for name, reference in (("logits", wanted.logits), ("states", wanted.hidden_states[-1])):
        mine = got[name]
        if reference.dim() == 3:  # what stands at padding is nobody's business
            mine, reference = mine[mask.bool()], reference[mask.bool()]
        difference = ((mine - reference).abs().max() / reference.abs().max()).item()
        worst = max(worst, difference)
        print(f"{model_class.__name__} seed {seed} {name}: relative difference {difference:.2e}")
    return worst


def main():
    binary, vocab = sys.argv[1:3]
    shapes = [dict(hidden_size=64, num_hidden_layers=2, num_attention_heads=4, intermediate_size=128),
              dict(hidden_size=48, num_hidden_layers=5, num_attention_heads=3, intermediate_size=100,
                   max_position_embeddings=40, layer_norm_eps=1e-7),
              dict(hidden_size=128, num_hidden_layers=1, num_attention_heads=2, intermediate_size=512)]
    worst = 0.0
    for seed, sizes in enumerate(shapes):
        for model_class, extra in ((BertForMaskedLM, {}), (BertForSequenceClassification, {"num_labels": 3})):
            with tempfile.TemporaryDirectory() as folder:
                worst = max(worst, case(binary, vocab, folder, model_class, seed, **sizes, **extra))
    print(f"worst {worst:.2e}, bound {BOUND:.0e}")
    return 0 if worst < BOUND else 1


if __name__ == "__main__":
    sys.exit(main())
