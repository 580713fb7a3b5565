// Makes models/: quantises the float starter models with the project's own program, writes models/catalog.json and
// the model cards. Run by hand after `npm run build`:
//   node tools/make_models.mjs [folder of the float models] [validation text]
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const project = new URL('..', import.meta.url).pathname;
const shared = process.env.SUTRA_SHARED ?? join(project, '../shared');
const floatModels = process.argv[2] ?? join(shared, 'models');
const text = process.argv[3] ?? join(shared, 'conformance/text/stories_valid.txt');
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
  'Quantised to 4 bits (round to nearest, groups of 128, embedding and head included) with `sutra quantize --method rtn`.';

/** @param {string[]} args */
const json = (args) =>
  JSON.parse(execFileSync(sutra, [...args, '--json'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }));

/** @param {number} bytes */
const megabytes = (bytes) => `${(bytes / 1e6).toFixed(1)} MB`;

/** @param {typeof MODELS[number]} model */
function make(model) {
  const source = join(floatModels, model.id);
  const folder = join(project, 'models', model.id);
  const report = json(['quantize', '--model', source, '--out', folder, '--method', 'rtn']);
  const float = json(['perplexity', '--model', source, '--text', text, '--exact']);
  const packed = json(['perplexity', '--model', folder, '--text', text]);
  const parameters = JSON.parse(readFileSync(join(source, 'reference_eval.json'), 'utf8')).parameters;
  const files = readdirSync(folder)
    .filter((name) => name !== 'MODEL_CARD.md')
    .sort()
    .map((name) => {
      const content = readFileSync(join(folder, name));
      return { name, bytes: content.length, sha256: createHash('sha256').update(content).digest('hex') };
    });
  const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
  writeFileSync(join(folder, 'MODEL_CARD.md'), card(model, { report, float, packed, parameters, bytes, source }));
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
    perplexity: { float: float.perplexity, quantised: packed.perplexity },
    madeHow: MADE_HOW,
    files,
  };
}

/**
 * @param {typeof MODELS[number]} model
 * @param {{report: any, float: any, packed: any, parameters: number, bytes: number, source: string}} facts
 */
function card(model, { report, float, packed, parameters, bytes, source }) {
  const change = (packed.perplexity / float.perplexity - 1) * 100;
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

Validation stories held out from training, windows of 512 tokens from the zero state (\`sutra perplexity\`).

| weights | perplexity | bits per byte |
|---|---|---|
| float (float16 and float32), exact | ${float.perplexity.toFixed(2)} | ${float.bits_per_byte.toFixed(4)} |
| 4 bits, 15-bit activations (what the page runs) | ${packed.perplexity.toFixed(2)} (${change >= 0 ? '+' : ''}${change.toFixed(1)} %) | ${packed.bits_per_byte.toFixed(4)} |

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
