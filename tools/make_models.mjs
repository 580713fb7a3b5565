// Makes models/: quantises the float starter models with the project's own program, measures what others make of them,
// writes models/catalog.json and the model cards. Run by hand after `npm run build`:
//   node tools/make_models.mjs [folder of the float models] [folder of the texts]
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const project = new URL('..', import.meta.url).pathname;
const shared = process.env.SUTRA_SHARED ?? join(project, '../shared');
const floatModels = process.argv[2] ?? join(shared, 'models');
const texts = process.argv[3] ?? join(shared, 'conformance/text');
const calibration = join(texts, 'stories_train.txt');
const VALIDATION = [
  { name: 'stories held out from training', file: join(texts, 'stories_valid.txt') },
  { name: 'WikiText-2, validation', file: join(texts, 'wikitext2_valid.txt') },
];
const sutra = join(project, 'build/sutra');

/** What no program can find out. */
const MODELS = [
  {
    id: 'fairy-rwkv7',
    name: 'Fairy RWKV-7',
    architecture: 'RWKV-7',
    shape: '4 layers × 384, 6 heads of 64',
    trained: '9.2 M tokens',
    summary: {
      good: 'Quick beginnings of fairy tales in plain English.',
      bad: 'A small model: little plot, forgets who is who, and repeats itself.',
    },
  },
  {
    id: 'fairy-mamba',
    name: 'Fairy Mamba',
    architecture: 'Mamba-1',
    shape: '6 layers × 384, state 16',
    trained: '7.2 M tokens',
    summary: {
      good: 'The smallest download; the same books read by another architecture.',
      bad: 'A small model: simpler sentences than Fairy RWKV-7, and it repeats itself sooner.',
    },
  },
];

const LICENCE = 'CC0-1.0';
const MADE_HOW =
  'Quantised to 4 bits (AWQ in groups of 128, head included; the embedding in groups of 32, or of 64 where it is the head too) with `sutra quantize`, calibrated on 64 pieces of 512 tokens of the training stories.';

/** @param {string[]} args */
const json = (args) =>
  JSON.parse(execFileSync(sutra, [...args, '--json'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }));

/** @param {number} bytes */
const megabytes = (bytes) => `${(bytes / 1e6).toFixed(1)} MB`;

/** @param {typeof MODELS[number]} model */
function make(model) {
  const source = join(floatModels, model.id);
  const folder = join(project, 'models', model.id);
  const report = json(['quantize', '--model', source, '--out', folder, '--calibration', calibration]);
  const rows = measure(source, folder, 32 / report.compression);
  const parameters = JSON.parse(readFileSync(join(source, 'reference_eval.json'), 'utf8')).parameters;
  const files = readdirSync(folder)
    .filter((name) => name !== 'MODEL_CARD.md')
    .sort()
    .map((name) => {
      const content = readFileSync(join(folder, name));
      return { name, bytes: content.length, sha256: createHash('sha256').update(content).digest('hex') };
    });
  const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
  writeFileSync(join(folder, 'MODEL_CARD.md'), card(model, { report, rows, parameters, bytes, source }));
  return {
    id: model.id,
    name: model.name,
    architecture: model.architecture,
    licence: LICENCE,
    languages: ['English'],
    summary: model.summary,
    parameters,
    bytes,
    bits: 4,
    perplexity: { float: rows[0].results[0].perplexity, quantised: rows[1].results[0].perplexity },
    madeHow: MADE_HOW,
    files,
  };
}

/**
 * The float model, the shipped one, and what else 4 bits could have been.
 * @param {string} source
 * @param {string} shipped
 * @param {number} bits of a weight in it
 */
function measure(source, shipped, bits) {
  const work = mkdtempSync(join(tmpdir(), 'sutra-models-'));
  try {
    const nearest = join(work, 'nearest');
    const gptq = join(work, 'gptq');
    const q4 = join(work, 'q4_0.gguf');
    json(['quantize', '--model', source, '--out', nearest, '--method', 'rtn']);
    json(['quantize', '--model', source, '--out', gptq, '--method', 'gptq', '--calibration', calibration]);
    execFileSync(sutra, ['convert', '--model', source, '--out', q4, '--format', 'gguf', '--dtype', 'q4_0']);
    return [
      { name: 'float (float16 and float32), exact', model: source, options: ['--exact'] },
      { name: `**AWQ, ${bits.toFixed(2)} bits a weight (this model)**`, model: shipped, options: [] },
      { name: 'GPTQ, the same groups', model: gptq, options: [] },
      { name: 'rounded to nearest, the same groups', model: nearest, options: [] },
      { name: 'Q4_0 of GGUF, 4.5 bits a weight', model: q4, options: [] },
    ].map(({ name, model, options }) => ({
      name,
      results: VALIDATION.map(({ file }) => json(['perplexity', '--model', model, '--text', file, ...options])),
    }));
  } finally {
    rmSync(work, { recursive: true });
  }
}

/** @typedef {{name: string, results: {perplexity: number, bits_per_byte: number}[]}} Row */

/** @param {Row[]} rows */
function table(rows) {
  const cells = rows.map(({ name, results }) => {
    const values = results.map(({ perplexity, bits_per_byte }, text) => {
      const change = (perplexity / rows[0].results[text].perplexity - 1) * 100;
      const changed = change === 0 ? '' : ` (${change > 0 ? '+' : ''}${change.toFixed(2)} %)`;
      return `${perplexity.toFixed(2)}${changed} | ${bits_per_byte.toFixed(4)}`;
    });
    return `| ${name} | ${values.join(' | ')} |`;
  });
  const head = VALIDATION.map(({ name }) => `${name}: perplexity | bits per byte`);
  return [`| weights | ${head.join(' | ')} |`, `|---|${'---|---|'.repeat(VALIDATION.length)}`, ...cells].join('\n');
}

/**
 * @param {typeof MODELS[number]} model
 * @param {{report: any, rows: Row[], parameters: number, bytes: number, source: string}} facts
 */
function card(model, { report, rows, parameters, bytes, source }) {
  return `# ${model.name}

A small story model: ${model.architecture}, ${model.shape}, ${(parameters / 1e6).toFixed(1)} M parameters, vocabulary of 4,096 byte-level BPE tokens.
Good at: ${model.summary.good} Bad at: ${model.summary.bad}

| | |
|---|---|
| Size | ${megabytes(bytes)} with tokenizer (${megabytes(statSync(join(source, 'model.safetensors')).size)} before) |
| Language | English |
| Licence | ${LICENCE} for the weights |
| Training data | 39 public-domain children's books (13.9 MB) and 0.7 MB of TinyStories (CDLA-Sharing-1.0, which places no terms on results such as models); ${model.trained} seen |
| Made | trained from nothing for this project, Muon for the matrices and AdamW for the rest, batch 16 × 256; then ${MADE_HOW[0].toLowerCase()}${MADE_HOW.slice(1)} |
| Compression of the quantised matrices | ${report.compression.toFixed(2)} × against float32 |

## Perplexity

Windows of 512 tokens from the zero state, the whole texts (\`sutra perplexity\`); activations of 15 bits, as the page runs them. The WikiText is not what the model is for.

${table(rows)}

## Limits

It repeats views and words of books from 1865 to 1920 and of simple children's stories. Nothing it writes is fact. It is not tuned for conversation or instructions.
`;
}

const models = MODELS.map(make);
writeFileSync(join(project, 'models/catalog.json'), `${JSON.stringify({ models }, null, 2)}\n`);
for (const { id, bytes, perplexity } of models) {
  console.log(
    `${id}: ${megabytes(bytes)}, perplexity ${perplexity.float.toFixed(3)} → ${perplexity.quantised.toFixed(3)}`,
  );
}
