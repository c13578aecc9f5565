"""BERT with its masked-language-model head in plain PyTorch, for machines without transformers: the same layers, attention and logits at
every position as transformers' BertForMaskedLM."""

import torch
from torch.nn import functional


class Layer(torch.nn.Module):
    def __init__(self, hidden, heads, ffn):
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value = (torch.nn.Linear(hidden, hidden) for _ in range(3))
        self.output = torch.nn.Linear(hidden, hidden)
        self.attention_norm = torch.nn.LayerNorm(hidden, eps=1e-12)
        self.up, self.down = torch.nn.Linear(hidden, ffn), torch.nn.Linear(ffn, hidden)
        self.norm = torch.nn.LayerNorm(hidden, eps=1e-12)

    def forward(self, x):
        def split(projected):  # [batch, heads, seq, head_dim]
            return projected.view(*x.shape[:2], self.heads, -1).transpose(1, 2)

        mixed = functional.scaled_dot_product_attention(split(self.query(x)), split(self.key(x)), split(self.value(x)))
        x = self.attention_norm(x + self.output(mixed.transpose(1, 2).reshape(x.shape)))
        return self.norm(x + self.down(functional.gelu(self.up(x))))


class PlainBert(torch.nn.Module):
    def __init__(self, vocab, seq_len, layers, hidden, heads, ffn):
        super().__init__()
        self.words, self.positions = torch.nn.Embedding(vocab, hidden), torch.nn.Embedding(seq_len, hidden)
        self.types = torch.nn.Parameter(torch.zeros(hidden))
        self.norm = torch.nn.LayerNorm(hidden, eps=1e-12)
        self.layers = torch.nn.ModuleList(Layer(hidden, heads, ffn) for _ in range(layers))
        self.transform, self.transform_norm = torch.nn.Linear(hidden, hidden), torch.nn.LayerNorm(hidden, eps=1e-12)
        self.bias = torch.nn.Parameter(torch.zeros(vocab))
        for module in self.modules():
            if isinstance(module, (torch.nn.Linear, torch.nn.Embedding)):
                torch.nn.init.normal_(module.weight, std=0.02)

    def forward(self, input_ids, labels):
        """@return mean loss over the labels that are not -100"""
        x = self.norm(self.words(input_ids) + self.positions.weight[: input_ids.shape[1]] + self.types)
        for layer in self.layers:
            x = layer(x)
        x = self.transform_norm(functional.gelu(self.transform(x)))
        logits = functional.linear(x, self.words.weight, self.bias)
        return functional.cross_entropy(logits.view(-1, logits.shape[-1]), labels.view(-1))
