#!/usr/bin/env python3
"""Makes the files of this folder from the shared golden rwkv6; see README.md. Needs numpy and safetensors.
Usage: make_golden.py SHARED/golden/models/rwkv6 OUT"""
import json
import sys

import numpy as np
from safetensors.numpy import load_file, save_file

MIXES = 'rwkvg'  # in the order of RWKV6Attention.forward, which unbinds x_proj's result as r, w, k, v, g


def attention(p, q, w):
    """One layer's attention: q is the prefix of the result."""
    c = w[p + 'time_maa_x'].size
    # x_proj[0] is a Linear [5 R, C] whose output is viewed as [5, R]; BlinkDL multiplies by [C, 5 R] in the order wkvrg.
    down = {m: part for m, part in zip('wkvrg', np.split(w[p + 'time_maa_w1'], 5, axis=1))}
    up = {m: part for m, part in zip('wkvrg', w[p + 'time_maa_w2'])}
    out = {
        'x_proj.0.mu': w[p + 'time_maa_x'].reshape(c),
        'x_proj.0.linear.weight': np.concatenate([down[m].T for m in MIXES], axis=0),
        # viewed as [C, 5, R]
        'x_proj.2.weight': np.stack([up[m].T for m in MIXES], axis=1).reshape(c, -1),
        'x_bias': np.stack([w[p + 'time_maa_' + m].reshape(c) for m in MIXES]),
        'w_proj.linear.lora.0.weight': w[p + 'time_decay_w1'].T,
        'w_proj.linear.lora.2.weight': w[p + 'time_decay_w2'].T,
        'w_proj.linear.lora.2.bias': w[p + 'time_decay'].reshape(c),
        'bonus': w[p + 'time_faaaa'],
        'g_norm.weight': w[p + 'ln_x.weight'],
        'g_norm.bias': w[p + 'ln_x.bias'],
        'o_proj.weight': w[p + 'output.weight'],
    }
    for letter, name in zip('rkvg', ('receptance', 'key', 'value', 'gate')):
        out[f'{letter}_proj.linear.weight'] = w[f'{p}{name}.weight']
    return {q + name: value for name, value in out.items()}


def main():
    source, out = sys.argv[1:]
    w = load_file(source + '/model.safetensors')
    n_layer = 1 + max(int(name.split('.')[1]) for name in w if name.startswith('blocks.'))
    n_head = w['blocks.0.att.time_faaaa'].shape[0]
    result = {'model.embeddings.weight': w['emb.weight'], 'lm_head.weight': w['head.weight'],
              'model.norm.weight': w['ln_out.weight'], 'model.norm.bias': w['ln_out.bias']}
    for layer in range(n_layer):
        p, q = f'blocks.{layer}.', f'model.layers.{layer}.'
        norms = {'ln1': 'attn_norm', 'ln2': 'ffn_norm'} | ({'ln0': 'pre_norm'} if layer == 0 else {})
        for theirs, name in norms.items():
            for kind in ('weight', 'bias'):
                result[f'{q}{name}.{kind}'] = w[f'{p}{theirs}.{kind}']
        result |= attention(p + 'att.', q + 'attn.', w)
        for name in ('key', 'receptance'):
            result[f'{q}ffn.{name}.linear.weight'] = w[f'{p}ffn.{name}.weight']
            result[f'{q}ffn.{name}.mu'] = w[f'{p}ffn.time_maa_{name[0]}'].reshape(-1)
        result[f'{q}ffn.value.weight'] = w[f'{p}ffn.value.weight']
    save_file({name: np.ascontiguousarray(value) for name, value in result.items()}, out + '/model.safetensors',
              metadata={'format': 'pt'})
    config = dict(architectures=['RWKV6ForCausalLM'], model_type='rwkv6', attn=None, attn_mode='chunk',
                  hidden_size=w['emb.weight'].shape[1], expand_k=1, expand_v=1, hidden_ratio=3.5,
                  intermediate_size=w['blocks.0.ffn.key.weight'].shape[0], num_hidden_layers=n_layer, num_heads=n_head,
                  proj_low_rank_dim=w['blocks.0.att.time_maa_w2'].shape[1],
                  gate_low_rank_dim=w['blocks.0.att.time_decay_w1'].shape[1], hidden_act='sqrelu', norm_first=True,
                  norm_bias=True, norm_eps=1e-5, tie_word_embeddings=False, vocab_size=w['emb.weight'].shape[0],
                  bos_token_id=1, eos_token_id=2)
    with open(out + '/config.json', 'w') as file:
        file.write(json.dumps(config, indent=2) + '\n')


main()
