#!/usr/bin/env python3
"""Makes the files of this folder; see README.md. Needs numpy, gguf (gguf-py) and llama.cpp's libllama.so.
Usage: make_golden.py SAFETENSORS_OF_mamba-noconvbias LIBLLAMA OUT
       make_golden.py --convert FOLDER CONVERSION OUT.gguf
The second form needs torch; FOLDER is a golden's, CONVERSION the folder that holds llama.cpp's conversion/."""
import ctypes
import importlib
import json
import pathlib
import shutil
import struct
import sys

import gguf
import numpy as np
from gguf import GGMLQuantizationType as QT

BLOCKS = {QT.Q4_0: (32, 18), QT.Q4_1: (32, 20), QT.Q5_0: (32, 22), QT.Q5_1: (32, 24), QT.Q8_0: (32, 34),
          QT.Q4_K: (256, 144), QT.Q5_K: (256, 176), QT.Q6_K: (256, 210)}
# Where the binary16 scales of a block are.
SCALES = {QT.Q4_0: (0,), QT.Q4_1: (0, 2), QT.Q5_0: (0,), QT.Q5_1: (0, 2), QT.Q8_0: (0,), QT.Q4_K: (0, 2),
          QT.Q5_K: (0, 2), QT.Q6_K: (208,)}


def finish(writer):
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def make_blocks(out):
    """Random bytes as blocks of each type, and what gguf-py makes of them."""
    rng = np.random.default_rng(11)
    writer = gguf.GGUFWriter(f'{out}/blocks.gguf', 'none')
    for dtype, (n_elements, n_bytes) in BLOCKS.items():
        rows = rng.integers(0, 256, (3, 512 // n_elements, n_bytes), dtype=np.uint8)
        for at in SCALES[dtype]:
            scales = rng.standard_normal(rows.shape[:2]).astype(np.float16) * np.float16(0.02)
            rows[:, :, at:at + 2] = scales[:, :, None].view(np.uint8)
        rows = rows.reshape(3, -1)
        writer.add_tensor(dtype.name, rows, raw_dtype=dtype)
        writer.add_tensor(dtype.name + '.f32', gguf.quants.dequantize(rows, dtype).astype(np.float32))
    finish(writer)


def make_quantized(out):
    """Random values, with rows of zeros, of tiny values, of equal magnitudes, and what gguf-py quantises them to."""
    rng = np.random.default_rng(13)
    values = rng.standard_normal((64, 256)).astype(np.float32)
    values[1] = 0
    values[2] *= np.float32(1e-9)
    values[3] = np.where(np.arange(256) % 3 == 0, np.float32(0.75), np.float32(-0.75))
    values[4] *= np.float32(3000)
    writer = gguf.GGUFWriter(f'{out}/quantized.gguf', 'none')
    writer.add_tensor('values', values)
    for dtype in (QT.Q4_0, QT.Q8_0):
        writer.add_tensor(dtype.name, gguf.quants.quantize(values, dtype), raw_dtype=dtype)
    finish(writer)


def read_safetensors(path):
    data = open(path, 'rb').read()
    length = struct.unpack('<Q', data[:8])[0]
    header = json.loads(data[8:8 + length])
    return {name: np.frombuffer(data, np.float32, count=(t['data_offsets'][1] - t['data_offsets'][0]) // 4,
                                offset=8 + length + t['data_offsets'][0]).reshape(t['shape'])
            for name, t in header.items() if name != '__metadata__'}


def write_safetensors(path, tensors):
    header, blob = {}, b''
    names = {'int32': 'I32', 'float32': 'F32'}
    for name, array in tensors.items():
        header[name] = {'dtype': names[array.dtype.name], 'shape': list(array.shape),
                        'data_offsets': [len(blob), len(blob) + array.nbytes]}
        blob += array.tobytes()
    text = json.dumps(header).encode()
    text += b' ' * (-len(text) % 8)
    open(path, 'wb').write(struct.pack('<Q', len(text)) + text + blob)


def make_mamba(source, out):
    """The weights of ../models/mamba-noconvbias as llama.cpp's converter writes them, in float32."""
    tensors = read_safetensors(source)
    d_model, d_inner, d_state, d_conv, dt_rank, n_layer = 48, 96, 16, 3, 3, 2
    writer = gguf.GGUFWriter(f'{out}/mamba.gguf', 'mamba')
    writer.add_context_length(1 << 20)
    writer.add_embedding_length(d_model)
    writer.add_feed_forward_length(0)
    writer.add_head_count(0)
    writer.add_block_count(n_layer)
    writer.add_ssm_conv_kernel(d_conv)
    writer.add_ssm_inner_size(d_inner)
    writer.add_ssm_state_size(d_state)
    writer.add_ssm_time_step_rank(dt_rank)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_ssm_dt_b_c_rms(False)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.MAMBA, n_layer)
    for name, array in tensors.items():
        new_name = names.get_name(name, try_suffixes=('.weight', '.bias'))
        if name.endswith('A_log'):
            array = -np.exp(array)
        writer.add_tensor(new_name, np.ascontiguousarray(array.squeeze() if 'conv1d' in name else array))
    finish(writer)


def make_rwkv7(out):
    """Random RWKV-7 weights, matrices in float16, with a vocabulary."""
    rng = np.random.default_rng(7)
    d, n_layer, n_vocab, ffn, ranks = 64, 2, 288, 96, {'w': 16, 'a': 8, 'v': 8, 'g': 16}
    writer = gguf.GGUFWriter(f'{out}/rwkv7.gguf', 'rwkv7')
    writer.add_context_length(1 << 20)
    writer.add_embedding_length(d)
    writer.add_block_count(n_layer)
    writer.add_layer_norm_eps(1e-5)
    writer.add_wkv_head_size(64)
    writer.add_decay_lora_rank(ranks['w'])
    writer.add_iclr_lora_rank(ranks['a'])
    writer.add_value_residual_mix_lora_rank(ranks['v'])
    writer.add_gate_lora_rank(ranks['g'])
    writer.add_feed_forward_length(ffn)
    writer.add_head_count(0)
    tokens = [b'<s>'] + [repr(bytes([i]))[2:-1].encode() for i in range(256)]
    tokens += [repr(t)[2:-1].encode() for t in (b' the', b' a', b'th', b'it\'s "', b'\n\n', 'é'.encode())]
    types = [gguf.TokenType.CONTROL] + [gguf.TokenType.NORMAL] * (len(tokens) - 1)
    while len(tokens) < n_vocab:
        tokens.append(f'[PAD{len(tokens)}]'.encode())
        types.append(gguf.TokenType.UNUSED)
    writer.add_tokenizer_model('rwkv')
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(0)

    def add(name, *shape, scale, mean=0.0, dtype=np.float32):
        array = mean + scale * rng.standard_normal(shape)
        writer.add_tensor(name, array.astype(dtype))

    def norm(name):
        add(name + '.weight', d, scale=0.1, mean=1.0)
        add(name + '.bias', d, scale=0.1)

    half = {'dtype': np.float16}
    add('token_embd.weight', n_vocab, d, scale=0.5, **half)
    norm('token_embd_norm')
    norm('output_norm')
    add('output.weight', n_vocab, d, scale=0.3, **half)
    for layer in range(n_layer):
        b = f'blk.{layer}.'
        for name in ('attn_norm', 'attn_norm_2', 'time_mix_ln'):
            norm(b + name)
        for name, rank in ranks.items():
            if name != 'g':
                add(b + f'time_mix_{name}0.weight', d, scale=0.5)
            if name == 'v' and layer == 0:
                rank = ranks['a']  # the converter's copy of a, which nothing reads
            add(b + f'time_mix_{name}1.weight', rank, d, scale=0.1, **half)
            add(b + f'time_mix_{name}2.weight', d, rank, scale=0.2, **half)
        add(b + 'time_mix_lerp_fused.weight', 6, 1, 1, d, scale=0.2, mean=0.5)
        add(b + 'time_mix_k_k.weight', d, scale=0.1, mean=0.8)
        add(b + 'time_mix_k_a.weight', d, scale=0.1, mean=1.0)
        add(b + 'time_mix_r_k.weight', d, scale=0.3)
        for name in ('receptance', 'key', 'value', 'output'):
            add(b + f'time_mix_{name}.weight', d, d, scale=0.1, **half)
        add(b + 'channel_mix_lerp_k.weight', 1, 1, d, scale=0.2, mean=0.5)
        add(b + 'channel_mix_key.weight', ffn, d, scale=0.1, **half)
        add(b + 'channel_mix_value.weight', d, ffn, scale=0.1, **half)
    finish(writer)


# Larger than llama.cpp's structures, which are passed by value and only read as far as they go.
class Struct(ctypes.Structure):
    _fields_ = [('bytes', ctypes.c_char * 1024)]


class LlamaBatch(ctypes.Structure):
    _fields_ = [('n_tokens', ctypes.c_int32), ('pointers', ctypes.c_void_p * 6)]


def llama_logits(libllama, path, ids):
    lib = ctypes.CDLL(libllama)
    for name, result, arguments in (
            ('llama_model_default_params', Struct, []),
            ('llama_context_default_params', Struct, []),
            ('llama_model_load_from_file', ctypes.c_void_p, [ctypes.c_char_p, Struct]),
            ('llama_init_from_model', ctypes.c_void_p, [ctypes.c_void_p, Struct]),
            ('llama_model_get_vocab', ctypes.c_void_p, [ctypes.c_void_p]),
            ('llama_vocab_n_tokens', ctypes.c_int32, [ctypes.c_void_p]),
            ('llama_batch_get_one', LlamaBatch, [ctypes.POINTER(ctypes.c_int32), ctypes.c_int32]),
            ('llama_decode', ctypes.c_int32, [ctypes.c_void_p, LlamaBatch]),
            ('llama_get_logits', ctypes.POINTER(ctypes.c_float), [ctypes.c_void_p])):
        function = getattr(lib, name)
        function.restype, function.argtypes = result, arguments
    lib.ggml_backend_load_all()
    model = lib.llama_model_load_from_file(path.encode(), lib.llama_model_default_params())
    context = lib.llama_init_from_model(model, lib.llama_context_default_params())
    n_vocab = lib.llama_vocab_n_tokens(lib.llama_model_get_vocab(model))
    out = np.zeros((len(ids), n_vocab), np.float32)
    for i, token in enumerate(ids):
        one = (ctypes.c_int32 * 1)(int(token))
        assert lib.llama_decode(context, lib.llama_batch_get_one(one, 1)) == 0
        out[i] = np.ctypeslib.as_array(lib.llama_get_logits(context), (n_vocab,))
    return out


# transformers' names for BlinkDL's.
RWKV_WORDS = (('emb.', 'embeddings.'), ('.ln0.', '.pre_ln.'), ('.att.', '.attention.'), ('.ffn.', '.feed_forward.'))
CONVERTERS = {'rwkv6': ('rwkv', 'Rwkv6Model'), 'mamba2': ('mamba', 'Mamba2Model'), 'llama': ('llama', 'LlamaModel'),
              'granitemoehybrid': ('granite', 'GraniteHybridModel'), 'falcon_h1': ('falcon_h1', 'FalconH1Model')}
ARCHITECTURES = {'falcon_h1': 'FalconH1ForCausalLM'}


def rename_rwkv6(folder):
    """A copy of the golden with the names and the config.json that the converter knows."""
    from safetensors.torch import load_file, save_file
    weights = {}
    for name, tensor in load_file(folder / 'model.safetensors').items():
        if not name.startswith('head.'):
            for word, other in RWKV_WORDS:
                name = name.replace(word, other)
            name = 'rwkv.' + name
        weights[name] = tensor.contiguous()
    save_file(weights, folder / 'model.safetensors', metadata={'format': 'pt'})
    dims = json.load(open(folder / 'case.json'))['dims']
    return dims['lora'], dict(architectures=['Rwkv6ForCausalLM'], model_type='rwkv6', hidden_size=dims['n_embd'],
                              head_size=dims['head_size'], num_hidden_layers=dims['n_layer'],
                              intermediate_size=dims['dim_ffn'], vocab_size=dims['vocab_size'],
                              layer_norm_epsilon=1e-5, rescale_every=1)


def convert(source, conversion, out):
    """The golden in `source` by llama.cpp's own converter, in float32 and without a tokenizer."""
    sys.path.insert(0, conversion)
    folder = pathlib.Path(out + '.source')
    shutil.copytree(source, folder)
    ranks = None
    if (folder / 'config.json').exists():
        config = json.load(open(folder / 'config.json'))
    else:
        ranks, config = rename_rwkv6(folder)
    config.setdefault('architectures', [ARCHITECTURES.get(config['model_type'])])
    json.dump(config, open(folder / 'config.json', 'w'))
    module, name = CONVERTERS[config['model_type']]
    base = getattr(importlib.import_module('conversion.' + module), name)

    class Converter(base):
        model_arch = base.model_arch

        def set_vocab(self):
            self.gguf_writer.add_tokenizer_model('none')

        def set_gguf_parameters(self):
            super().set_gguf_parameters()
            if ranks:  # the converter writes those of the published models
                keys = self.gguf_writer.kv_data[0]
                keys['rwkv6.time_mix_extra_dim'].value = ranks['mix']
                keys['rwkv6.time_decay_extra_dim'].value = ranks['decay']

    Converter(folder, gguf.LlamaFileType.ALL_F32, pathlib.Path(out), hparams=config).write()
    shutil.rmtree(folder)


def main():
    if sys.argv[1] == '--convert':
        convert(*sys.argv[2:])
        return
    source, libllama, out = sys.argv[1:]
    make_blocks(out)
    make_quantized(out)
    make_mamba(source, out)
    make_rwkv7(out)
    ids = np.random.default_rng(3).integers(0, 288, 24).astype(np.int32)
    write_safetensors(f'{out}/rwkv7.expected.safetensors',
                      {'input_ids': ids, 'logits': llama_logits(libllama, f'{out}/rwkv7.gguf', ids)})


if __name__ == '__main__':
    main()
