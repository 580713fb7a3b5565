// The server that npm start uses: right headers, and nothing outside its folders.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { serve } from '../../tools/serve.mjs';

const work = mkdtempSync(join(tmpdir(), 'sutra-serve-'));
/** @type {{url: string, close: () => Promise<void>}} */
let server;

before(async () => {
  mkdirSync(join(work, 'site/assets'), { recursive: true });
  mkdirSync(join(work, 'site-secret'));
  writeFileSync(join(work, 'secret.txt'), 'secret');
  writeFileSync(join(work, 'site-secret/secret.txt'), 'secret');
  writeFileSync(join(work, 'site/index.html'), '<!doctype html><title>x</title>');
  writeFileSync(join(work, 'site/engine.wasm'), Buffer.from([0, 0x61, 0x73, 0x6d]));
  writeFileSync(join(work, 'site/assets/app-1a2b.js'), 'export {};');
  server = await serve({ port: 0, mounts: [['/site/', join(work, 'site')]] });
});

after(async () => {
  await server.close();
  rmSync(work, { recursive: true });
});

/**
 * Sends a path as it is: fetch() would tidy `..` away before the server sees it.
 * @param {string} path
 * @param {{method?: string, headers?: Record<string, string>}} [options]
 * @returns {Promise<{status: number | undefined, headers: import('node:http').IncomingHttpHeaders, body: string}>}
 */
function ask(path, options = {}) {
  const { port } = new URL(server.url);
  return new Promise((done, failed) => {
    const sent = request({ port, host: 'localhost', path, ...options }, (response) => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (piece) => {
        body += piece;
      });
      response.on('end', () => done({ status: response.statusCode, headers: response.headers, body }));
    });
    sent.on('error', failed);
    sent.end();
  });
}

test('a folder answers with its index page, typed, isolated, and under a strict policy', async () => {
  const { status, headers, body } = await ask('/site/');
  assert.equal(status, 200);
  assert.match(body, /<title>x/);
  assert.equal(headers['content-type'], 'text/html; charset=utf-8');
  assert.equal(headers['cross-origin-opener-policy'], 'same-origin');
  assert.equal(headers['cross-origin-embedder-policy'], 'require-corp');
  assert.match(String(headers['content-security-policy']), /script-src 'self' 'wasm-unsafe-eval';/);
  assert.equal(headers['x-content-type-options'], 'nosniff');
});

test('wasm has the type that streaming compilation asks for', async () => {
  const { headers } = await ask('/site/engine.wasm');
  assert.equal(headers['content-type'], 'application/wasm');
  assert.equal(headers['content-length'], '4');
});

test('nothing outside the folder is served, however the path is written', async () => {
  const paths = [
    '/site/../secret.txt',
    '/site/%2e%2e/secret.txt',
    '/site/..%2fsecret.txt',
    '/site/..%5csecret.txt',
    '/site//../secret.txt',
    '/site/../site-secret/secret.txt',
    '/site/assets/../../secret.txt',
    `/site/${join(work, 'secret.txt')}`,
    '/site/%00',
    '/site/%zz',
    '/site/assets',
    '/site/assets/',
  ];
  for (const path of paths) {
    const { status, body } = await ask(path);
    assert.equal(status, 404, path);
    assert.doesNotMatch(body, /secret/, path);
  }
});

test('an unchanged file is not sent again', async () => {
  const first = await ask('/site/engine.wasm');
  const second = await ask('/site/engine.wasm', { headers: { 'If-None-Match': String(first.headers.etag) } });
  assert.equal(second.status, 304);
  assert.equal(second.body, '');
});

test('HEAD tells the size without the body, and nothing can be written', async () => {
  const head = await ask('/site/engine.wasm', { method: 'HEAD' });
  assert.deepEqual([head.status, head.headers['content-length'], head.body], [200, '4', '']);
  assert.equal((await ask('/site/engine.wasm', { method: 'PUT' })).status, 405);
});

test('without isolation the page gets no headers for shared memory', async () => {
  const plain = await serve({ port: 0, isolation: false, mounts: [['/', join(work, 'site')]] });
  const { headers } = await fetch(plain.url);
  await plain.close();
  assert.equal(headers.get('cross-origin-embedder-policy'), null);
  assert.equal(headers.get('cross-origin-opener-policy'), null);
});
