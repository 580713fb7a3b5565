#!/usr/bin/env python3
"""Makes the files of this folder; see README.md. Needs torch, transformers (5.12) and safetensors.
Usage: make_golden.py OUT"""
import json
import sys

import torch
from safetensors.torch import save_file
from transformers import FalconH1Config, FalconH1ForCausalLM

CONFIG = dict(vocab_size=96, hidden_size=64, intermediate_size=80, num_hidden_layers=2, num_attention_heads=4,
              num_key_value_heads=2, head_dim=16, mamba_d_ssm=96, mamba_n_heads=6, mamba_d_head=16, mamba_n_groups=2,
              mamba_d_state=12, mamba_d_conv=4, mamba_chunk_size=8, mamba_rms_norm=True, mamba_norm_before_gate=False,
              embedding_multiplier=5.5, lm_head_multiplier=0.4, mlp_multipliers=[0.9, 0.3], key_multiplier=0.6,
              attention_in_multiplier=1.2, attention_out_multiplier=0.7, ssm_multipliers=[0.35, 0.25, 0.2, 0.5, 0.3],
              ssm_in_multiplier=1.3, ssm_out_multiplier=0.8, max_position_embeddings=256, tie_word_embeddings=False,
              rope_parameters=dict(rope_theta=100000.0, rope_type='default'))
VARIANTS = {'logits': {}, 'logits_norm_first': dict(mamba_norm_before_gate=True), 'logits_no_norm': dict(mamba_rms_norm=False)}


def main():
    out = sys.argv[1]
    torch.manual_seed(17)
    model = FalconH1ForCausalLM(FalconH1Config(**CONFIG))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith(('layernorm.weight', 'norm.weight')):
                parameter.copy_(1 + 0.2 * torch.randn_like(parameter))
            elif name.endswith('A_log'):
                parameter.copy_(torch.log(1 + 7 * torch.rand_like(parameter)))
            elif name.endswith('dt_bias'):
                parameter.copy_(torch.randn_like(parameter) - 2)
            else:
                parameter.copy_(torch.randn_like(parameter) * 0.15)
    weights = {name: parameter.detach().clone().contiguous() for name, parameter in model.named_parameters()}
    save_file(weights, f'{out}/model.safetensors', metadata={'format': 'pt'})
    ids = torch.randint(0, CONFIG['vocab_size'], (1, 21))
    expected = {'input_ids': ids[0].to(torch.int32)}
    for name, change in VARIANTS.items():
        other = FalconH1ForCausalLM(FalconH1Config(**{**CONFIG, **change}))
        other.load_state_dict(weights, strict=False)
        with torch.no_grad():
            expected[name] = other.double().eval()(ids, use_cache=False).logits[0].to(torch.float32).contiguous()
    save_file(expected, f'{out}/expected.safetensors')
    keys = ('bos_token_id', 'eos_token_id')
    config = dict(model_type='falcon_h1', **CONFIG, **{key: getattr(model.config, key) for key in keys})
    json.dump(config, open(f'{out}/config.json', 'w'), indent=1)


if __name__ == '__main__':
    main()
