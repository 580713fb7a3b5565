import assert from 'node:assert/strict';
import { test } from 'node:test';
import { toPlainSource } from '../../bindings/js/source.ts';
import type { ModelSource } from '../../bindings/js/types.ts';
import { withCode } from './support.ts';

const urlOf = async (source: ModelSource) => {
  const plain = await toPlainSource(source);
  assert.equal(plain.kind, 'url');
  return plain;
};
const namesOf = async (source: ModelSource) => {
  const plain = await toPlainSource(source);
  assert.equal(plain.kind, 'files');
  return plain.files.map(({ name }) => name).sort();
};
const at = (path: string, content = '') => {
  const file = new File([content], path.slice(path.lastIndexOf('/') + 1));
  return Object.defineProperty(file, 'webkitRelativePath', { value: path });
};

test('a folder is a folder with or without its last slash, query or config.json', async () => {
  for (const url of [
    'https://a.example/m',
    'https://a.example/m/',
    'https://a.example/m?x=1',
    'https://a.example/m/config.json',
  ])
    assert.deepEqual(await urlOf(url), { kind: 'url', base: 'https://a.example/m/' });
  assert.deepEqual(await urlOf(new URL('https://a.example/m/')), { kind: 'url', base: 'https://a.example/m/' });
});

test('one weight file stands for its folder and is the one that is read', async () => {
  assert.deepEqual(await urlOf('https://a.example/m/part%20one.safetensors'), {
    kind: 'url',
    base: 'https://a.example/m/',
    file: 'part one.safetensors',
  });
});

test('a hub id leads to the files of that revision', async () => {
  assert.equal((await urlOf('some-user/some.model')).base, 'https://huggingface.co/some-user/some.model/resolve/main/');
  assert.equal((await urlOf('user/repo@refs/pr/3')).base, 'https://huggingface.co/user/repo/resolve/refs/pr/3/');
});

test('what begins with a dot or a slash is a path, not a hub id', async () => {
  const here = `file://${process.cwd()}/`;
  assert.equal((await urlOf('./user/repo')).base, `${here}user/repo/`);
  assert.equal((await urlOf('/models/x/')).base, 'file:///models/x/');
});

test('a file of weights of any format is named by its URL', async () => {
  for (const name of ['model.gguf', 'RWKV-x070.pth', 'pytorch_model.bin'])
    assert.deepEqual(await urlOf(`https://a.example/b/${name}`), {
      kind: 'url',
      base: 'https://a.example/b/',
      file: name,
    });
});

test('files count by name, wherever they lie, and the nearest to the top wins', async () => {
  const files = [at('m/onnx/config.json', 'wrong'), at('m/config.json', 'right'), at('m/model.safetensors')];
  for (const order of [files, [...files].reverse()]) {
    assert.deepEqual(await namesOf(order), ['config.json', 'model.safetensors']);
    const plain = await toPlainSource(order);
    assert.ok(plain.kind === 'files');
    const config = plain.files.find(({ name }) => name === 'config.json')!;
    assert.equal(await config.blob.text(), 'right');
  }
});

test('bytes and blobs under names become files', async () => {
  const files = {
    'a/config.json': new Uint8Array([1]),
    'model.safetensors': new ArrayBuffer(2),
    'x.json': new Blob(['3']),
  };
  assert.deepEqual(await namesOf({ files }), ['config.json', 'model.safetensors', 'x.json']);
});

test('a folder handle gives its files', async () => {
  const handle = {
    kind: 'directory',
    async *values() {
      yield { kind: 'file', name: 'config.json', getFile: async () => new File(['{}'], 'config.json') };
      yield { kind: 'directory', name: 'onnx' };
    },
  };
  assert.deepEqual(await namesOf(handle as unknown as FileSystemDirectoryHandle), ['config.json']);
});

test('anything else is refused', async () => {
  for (const source of [undefined, null, 7, {}, 'https://:bad'])
    await assert.rejects(toPlainSource(source as ModelSource), withCode('invalid_argument'));
});
