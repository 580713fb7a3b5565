#!/usr/bin/env python3
"""Whether transformers loads what `sutra quantize --keep-embeddings` writes, and computes the same logits.

Run by hand: needs torch, transformers (5.12) and safetensors. Models of random weights of every architecture that both
know. Packed linears are gptqmodel's in transformers; one of plain PyTorch takes their place, by AutoAWQ's description of
the "gemm" layout. All else, the names, what is left in float, the tied embedding, is transformers' own loading.
Usage: transformers_awq.py SUTRA TOKENIZER TEXT
  SUTRA      the native program
  TOKENIZER  a tokenizer.json of at most 4096 tokens, as models/fairy-rwkv7/tokenizer.json
  TEXT       calibration text"""
import json
import random
import shutil
import subprocess
import sys
import tempfile
import types
from pathlib import Path

import torch
import transformers
from safetensors.torch import load_file
from transformers.quantizers import quantizer_awq

VOCAB_SIZE = 4096
SIZES = dict(hidden_size=128, num_hidden_layers=2, vocab_size=VOCAB_SIZE)
ATTENTION = dict(intermediate_size=192, num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=256)
MAMBA2 = dict(mamba_n_heads=8, mamba_d_head=32, mamba_n_groups=1, mamba_d_state=16, mamba_expand=2)
CONFIGS = {
    'rwkv': dict(intermediate_size=256, rescale_every=0),
    'mamba': dict(state_size=16),
    'falcon_mamba': dict(state_size=16),
    'mamba2': dict(num_heads=8, head_dim=32, state_size=16, n_groups=1),
    'llama': ATTENTION,
    # With rope_parameters transformers 5 turns the whole head, and so do we (models/hybrid.md).
    'bamba': dict(attn_layer_indices=[1], rope_parameters=dict(rope_theta=10000.0, rope_type='default'), **ATTENTION,
                  **MAMBA2),
    'falcon_h1': dict(head_dim=32, mamba_d_ssm=256, **ATTENTION, **MAMBA2),
    'granitemoehybrid': dict(shared_intermediate_size=192, num_local_experts=0, layer_types=['mamba', 'attention'],
                             **ATTENTION, **MAMBA2),
}
# rms of the difference over rms of the logits: float32 arithmetic in another order.
TOLERANCE = 1e-5

# Nibble i of a word belongs to this output of its eight.
ORDER = [0, 2, 4, 6, 1, 3, 5, 7]


def unpack(words):
    """[R, N/8] int32 to [R, N]."""
    out = torch.empty(words.shape[0], words.shape[1] * 8, dtype=torch.int32)
    for i, output in enumerate(ORDER):
        out[:, output::8] = (words >> (4 * i)) & 15
    return out


class PackedLinear(torch.nn.Module):
    def __init__(self, bits, group_size, in_features, out_features, bias, **_):
        super().__init__()
        assert bits == 4
        self.group_size = group_size
        n_groups = in_features // group_size
        self.register_buffer('qweight', torch.zeros(in_features, out_features // 8, dtype=torch.int32))
        self.register_buffer('qzeros', torch.zeros(n_groups, out_features // 8, dtype=torch.int32))
        self.register_buffer('scales', torch.zeros(n_groups, out_features, dtype=torch.float16))
        self.register_buffer('bias', torch.zeros(out_features, dtype=torch.float16) if bias else None)

    def forward(self, x):
        group = torch.arange(self.qweight.shape[0]) // self.group_size
        weight = (unpack(self.qweight) - unpack(self.qzeros)[group]).float() * self.scales.float()[group]
        y = x.float() @ weight
        return y if self.bias is None else y + self.bias.float()


def replace_gptqmodel():
    contents = {
        'gptqmodel': {},
        'gptqmodel.quantization': {'METHOD': types.SimpleNamespace(AWQ='awq')},
        'gptqmodel.quantization.awq': {},
        'gptqmodel.quantization.awq.modules': {},
        'gptqmodel.quantization.awq.modules.act': {'ScaledActivation': None},
        'gptqmodel.utils': {},
        'gptqmodel.utils.importer': {'hf_select_quant_linear_v2': lambda **_: PackedLinear},
        'gptqmodel.utils.model': {'hf_gptqmodel_post_init': lambda model, **_: model},
    }
    for name, values in contents.items():
        module = types.ModuleType(name)
        vars(module).update(values)
        sys.modules[name] = module
    quantizer_awq.is_gptqmodel_available = lambda: True
    quantizer_awq.is_accelerate_available = lambda: True


def check(name, sutra, tokenizer, text, folder):
    def run(*args):
        subprocess.run([sutra, *map(str, args)], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    config, source, packed, expected = (folder / file for file in ('config.json', 'float', 'packed', 'logits'))
    config.write_text(json.dumps(dict(model_type=name, **SIZES, **CONFIGS[name])))
    run('init', '--config', config, '--out', source)
    shutil.copy(tokenizer, source / 'tokenizer.json')
    run('quantize', '--model', source, '--out', packed, '--keep-embeddings', '--group-size', 32, '--calibration', text,
        '--calibration-sequences', 8, '--ctx', 128)
    ids = random.Random(3).sample(range(VOCAB_SIZE), 64)
    run('logits', '--model', packed, '--exact', '--ids', ','.join(map(str, ids)), '--out', expected)
    logits = load_file(expected)['logits']
    model, info = transformers.AutoModelForCausalLM.from_pretrained(packed, dtype=torch.float32,
                                                                    output_loading_info=True)
    found = model.eval()(torch.tensor([ids])).logits[0]
    error = ((found - logits).square().mean().sqrt() / logits.square().mean().sqrt()).item()
    n_packed = sum(isinstance(module, PackedLinear) for module in model.modules())
    leftovers = {kind: sorted(keys) for kind, keys in info.items() if keys}
    print(f'{name}: {n_packed} packed linears, error {error:.1e}, {leftovers or "nothing missing or left over"}')
    return n_packed > 0 and not leftovers and error <= TOLERANCE


def main():
    sutra, tokenizer, text = sys.argv[1:]
    replace_gptqmodel()
    failed = []
    with torch.no_grad():
        for name in CONFIGS:
            with tempfile.TemporaryDirectory() as folder:
                if not check(name, sutra, tokenizer, text, Path(folder)):
                    failed.append(name)
    if failed:
        sys.exit(f'not the same: {", ".join(failed)}')


main()
