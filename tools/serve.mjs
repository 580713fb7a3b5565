// Serves the built page and the shipped models on this machine, with the headers a good host would send.
//   node tools/serve.mjs [--no-isolation]       PORT (default 4173), HOST (default localhost)
// --no-isolation leaves out the headers that allow shared memory: the page has to work on a host that knows none.
import { createReadStream, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { extname, join, resolve, sep } from 'node:path';
import { repoRoot, runMain, say, UserError } from './lib/run.mjs';

/** @type {Record<string, string>} */
const kTypes = {
  '.css': 'text/css; charset=utf-8',
  '.html': 'text/html; charset=utf-8',
  '.ico': 'image/x-icon',
  '.js': 'text/javascript; charset=utf-8',
  '.json': 'application/json',
  '.map': 'application/json',
  '.md': 'text/markdown; charset=utf-8',
  '.mjs': 'text/javascript; charset=utf-8',
  '.png': 'image/png',
  '.svg': 'image/svg+xml',
  '.txt': 'text/plain; charset=utf-8',
  '.wasm': 'application/wasm',
  '.webmanifest': 'application/manifest+json',
};

const kPolicy = [
  "default-src 'none'",
  "script-src 'self' 'wasm-unsafe-eval'",
  "style-src 'self'",
  "img-src 'self'",
  "font-src 'self'",
  "connect-src 'self'",
  "worker-src 'self'",
  "manifest-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

const kHeaders = {
  'Content-Security-Policy': kPolicy,
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Referrer-Policy': 'no-referrer',
  'X-Content-Type-Options': 'nosniff',
};
const kIsolation = { 'Cross-Origin-Opener-Policy': 'same-origin', 'Cross-Origin-Embedder-Policy': 'require-corp' };

/**
 * The file that an address names, or null: nothing outside the mounted folders is ever opened.
 * @param {[prefix: string, folder: string][]} mounts the longest prefix first
 * @param {string} url
 */
function findFile(mounts, url) {
  let path;
  try {
    path = decodeURIComponent(url.replace(/[?#].*$/s, ''));
  } catch {
    return null;
  }
  const mount = mounts.find(([prefix]) => path.startsWith(prefix));
  if (!mount || path.includes('\0')) return null;
  const root = resolve(mount[1]);
  const file = resolve(root, `.${sep}${path.slice(mount[0].length)}`, path.endsWith('/') ? 'index.html' : '');
  if (!file.startsWith(root + sep)) return null;
  const stat = statSync(file, { throwIfNoEntry: false });
  return stat?.isFile() ? { file, stat } : null;
}

/**
 * @typedef {{port: number, host?: string, isolation?: boolean, mounts?: [prefix: string, folder: string][]}} ServeOptions
 *   port 0 takes a free one
 * @param {ServeOptions} options
 * @returns {Promise<{url: string, close: () => Promise<void>}>}
 */
export async function serve({ port, host = 'localhost', isolation = true, mounts = [] }) {
  const all = /** @type {[string, string][]} */ ([
    ...mounts,
    ['/models/', join(repoRoot, 'models')],
    ['/', join(repoRoot, 'web/dist')],
  ]).sort((a, b) => b[0].length - a[0].length);

  const server = createServer((request, response) => {
    const url = request.url ?? '/';
    for (const [name, value] of Object.entries({ ...kHeaders, ...(isolation ? kIsolation : {}) })) {
      response.setHeader(name, value);
    }
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      response.writeHead(405, { Allow: 'GET, HEAD' }).end();
      return;
    }
    const found = findFile(all, url);
    if (!found) {
      response.writeHead(404, { 'Content-Type': 'text/plain' }).end('not found\n');
      return;
    }
    const etag = `"${found.stat.size.toString(36)}-${Math.floor(found.stat.mtimeMs).toString(36)}"`;
    // Names in assets/ carry a hash of the content; everything else is asked for again, and answered 304 if unchanged.
    response.setHeader(
      'Cache-Control',
      url.startsWith('/assets/') ? 'public, max-age=31536000, immutable' : 'no-cache',
    );
    response.setHeader('ETag', etag);
    if (request.headers['if-none-match'] === etag) {
      response.writeHead(304).end();
      return;
    }
    const type = kTypes[extname(found.file)] ?? 'application/octet-stream';
    response.writeHead(200, { 'Content-Type': type, 'Content-Length': found.stat.size });
    if (request.method === 'HEAD') response.end();
    else
      createReadStream(found.file)
        .on('error', () => response.destroy())
        .pipe(response);
  });

  await new Promise((done, failed) => {
    server.once('error', (error) => {
      const isTaken = /** @type {NodeJS.ErrnoException} */ (error).code === 'EADDRINUSE';
      failed(isTaken ? new UserError(`port ${port} is in use; please choose another with PORT=…`) : error);
    });
    server.listen(port, host, () => done(undefined));
  });
  const address = server.address();
  const boundPort = address && typeof address === 'object' ? address.port : port;
  return {
    url: `http://${host}:${boundPort}/`,
    close: () =>
      new Promise((done) => {
        server.close(() => done());
        server.closeAllConnections();
      }),
  };
}

/** The port that the environment asks for. */
export function portFromEnvironment() {
  const port = Number(process.env.PORT || 4173);
  if (!Number.isInteger(port) || port < 0 || port > 65535)
    throw new UserError(`PORT is '${process.env.PORT}', which is no port number`);
  return port;
}

if (process.argv[1] === import.meta.filename) {
  runMain(async () => {
    const isolation = !process.argv.includes('--no-isolation');
    const { url } = await serve({ port: portFromEnvironment(), host: process.env.HOST || 'localhost', isolation });
    say('serve', url);
  });
}
