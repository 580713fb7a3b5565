// Model files of other kinds, which are told apart by name before anything is fetched.
import { raise } from './errors.ts';

export const foreignFormat = /\.(gguf|pth|pt|bin)$/;

export function raiseFormat(name: string): never {
  return raise('unsupported', `${name} is in a format that this version does not read`, {
    hint: 'Choose the model in its safetensors layout: config.json, tokenizer.json and model.safetensors.',
  });
}
