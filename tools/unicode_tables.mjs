// Writes src/text/unicode_tables.h from the Unicode Character Database:
//   node tools/unicode_tables.mjs [folder of UnicodeData.txt, PropList.txt, …]
// The default is where Debian's package unicode-data puts it. The result is checked in, so a build needs neither.
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const source = process.argv[2] ?? '/usr/share/unicode';
const target = join(dirname(fileURLToPath(import.meta.url)), '../src/text/unicode_tables.h');
const kLimit = 0x110000;

/** @param {string} name @returns {string[][]} the fields of each line that is not a comment */
function records(name) {
  return readFileSync(join(source, name), 'utf8')
    .split('\n')
    .map((line) => line.replace(/#.*/, '').trim())
    .filter((line) => line !== '')
    .map((line) => line.split(';').map((field) => field.trim()));
}

/** @param {string} name @param {(fields: string[]) => boolean} wanted @returns {Set<number>} */
function property(name, wanted) {
  const set = new Set();
  for (const fields of records(name)) {
    if (!wanted(fields)) continue;
    const [first, last = first] = fields[0].split('..').map((hex) => parseInt(hex, 16));
    for (let c = first; c <= last; c++) set.add(c);
  }
  return set;
}

const version = /-(\d+\.\d+\.\d+)\.txt/.exec(readFileSync(join(source, 'PropList.txt'), 'utf8'))?.[1];
const category = new Array(kLimit).fill('Cn');
const combiningClass = new Uint8Array(kLimit);
/** @type {Map<number, number[]>} */
const decomposition = new Map();
let rangeFirst = 0;
for (const [hex, name, general, ccc, , mapping] of databaseRecords('UnicodeData.txt')) {
  const c = parseInt(hex, 16);
  if (name.endsWith(', First>')) rangeFirst = c;
  const first = name.endsWith(', Last>') ? rangeFirst : c;
  category.fill(general, first, c + 1);
  combiningClass[c] = Number(ccc);
  if (mapping !== '' && !mapping.startsWith('<'))
    decomposition.set(
      c,
      mapping.split(' ').map((h) => parseInt(h, 16)),
    );
}
/** UnicodeData.txt has no comments, but names with '#'. @param {string} name */
function databaseRecords(name) {
  return readFileSync(join(source, name), 'utf8')
    .split('\n')
    .filter(Boolean)
    .map((line) => line.split(';'));
}

const space = property('PropList.txt', (f) => f[1] === 'White_Space');
const joinControl = property('PropList.txt', (f) => f[1] === 'Join_Control');
const alphabetic = property('DerivedCoreProperties.txt', (f) => f[1] === 'Alphabetic');
const notQuick = property('DerivedNormalizationProps.txt', (f) => f[1] === 'NFC_QC');
const excluded = property('DerivedNormalizationProps.txt', (f) => f[1] === 'Full_Composition_Exclusion');

// The classes of text/unicode.h, in its order; kAlternating stands for upper, lower, upper, … from the range's start.
const kOther = 0,
  kSpace = 1,
  kUpper = 2,
  kLower = 3,
  kTitle = 4,
  kModifier = 5,
  kLetter = 6,
  kMark = 7,
  kNumber = 8,
  kOtherNumber = 9,
  kWordOther = 10,
  kAlternating = 11;
/** @param {number} c */
function classOf(c) {
  if (space.has(c)) return kSpace;
  switch (category[c]) {
    case 'Lu':
      return kUpper;
    case 'Ll':
      return kLower;
    case 'Lt':
      return kTitle;
    case 'Lm':
      return kModifier;
    case 'Lo':
      return kLetter;
    case 'Mn':
    case 'Mc':
    case 'Me':
      return kMark;
    case 'Nd':
    case 'Nl':
      return kNumber;
    case 'No':
      return kOtherNumber;
    default:
      return category[c] === 'Pc' || alphabetic.has(c) || joinControl.has(c) ? kWordOther : kOther;
  }
}

/** Runs of equal value. @param {(c: number) => number} valueAt @returns {{start: number, value: number, length: number}[]} */
function runs(valueAt) {
  /** @type {{start: number, value: number, length: number}[]} */
  const out = [];
  for (let c = 0; c < kLimit; c++) {
    const value = valueAt(c);
    if (out.length > 0 && out[out.length - 1].value === value) out[out.length - 1].length++;
    else out.push({ start: c, value, length: 1 });
  }
  return out;
}

/** @type {{start: number, value: number}[]} */
const classes = [];
const plain = runs(classOf);
for (let i = 0; i < plain.length; ) {
  let end = i;
  while (
    end < plain.length &&
    plain[end].length === 1 &&
    plain[end].value === (((end - i) & 1) === 0 ? kUpper : kLower)
  )
    end++;
  if (end - i >= 3) {
    classes.push({ start: plain[i].start, value: kAlternating });
    i = end;
  } else {
    classes.push(plain[i++]);
  }
}
const normalization = runs((c) => combiningClass[c] | (notQuick.has(c) ? 256 : 0));

// A run: class << 4 | length - 1, or class << 4 | 15 and then length - 16 in seven-bit groups, lowest first.
/** @type {number[]} */
const classRuns = [];
classes.forEach(({ start, value }, i) => {
  const length = (classes[i + 1]?.start ?? kLimit) - start;
  classRuns.push((value << 4) | Math.min(length - 1, 15));
  if (length < 16) return;
  let rest = length - 16;
  for (; rest > 127; rest >>= 7) classRuns.push((rest & 127) | 128);
  classRuns.push(rest);
});

// Canonical decompositions, one step each; Hangul is arithmetic and not in UnicodeData.txt. The block of
// CJK compatibility ideographs at U+2F800 has no gaps: the position is the key.
const kBlockFirst = 0x2f800,
  kBlockLast = 0x2fa1d;
const pairs = [],
  singles = [],
  large = [],
  block = [];
for (const [c, [first, second = 0]] of [...decomposition].sort((a, b) => a[0] - b[0])) {
  if (c >= kBlockFirst && c <= kBlockLast) {
    if (second !== 0 || c !== kBlockFirst + block.length)
      throw new Error(`U+${c.toString(16)}: the block has a gap or a pair`);
    block.push(first);
  } else if (Math.max(c, first, second) >= 0x10000) {
    large.push({ c, first, second });
  } else if (second !== 0) {
    pairs.push({ c, first, second });
  } else {
    singles.push({ c, first });
  }
}
if (block.length !== kBlockLast - kBlockFirst + 1) throw new Error('the block at U+2F800 is not full');
/** @param {{c: number, first: number, second: number}[]} entries */
function byPair(entries) {
  return entries
    .map((entry, index) => ({ ...entry, index }))
    .filter(({ c, second }) => second !== 0 && !excluded.has(c))
    .sort((a, b) => a.first - b.first || a.second - b.second)
    .map(({ index }) => index);
}
const pairOrder = byPair(pairs),
  largeOrder = byPair(large);

/** @param {(string | number)[]} items */
function rows(items) {
  const lines = [];
  let line = '   ';
  for (const item of items) {
    if (line.length + String(item).length + 2 > 118) {
      lines.push(line);
      line = '   ';
    }
    line += ` ${item},`;
  }
  return [...lines, line].join('\n');
}
const hex = (/** @type {number} */ value) => `0x${value.toString(16)}`;
const bytes =
  classRuns.length +
  4 * normalization.length +
  6 * pairs.length +
  4 * singles.length +
  12 * large.length +
  4 * block.length +
  2 * (pairOrder.length + largeOrder.length);

writeFileSync(
  target,
  `// Generated by tools/unicode_tables.mjs from the Unicode Character Database ${version}; do not edit.
// ${bytes} bytes of tables, read by unicode.cpp and nfc.cpp alone.
// clang-format off
#pragma once

#include <cstdint>

namespace sutra::text::tables {

// Runs from U+0000 on, a byte each: CharClass << 4 | length - 1; low digit 15: length - 16 follows in seven-bit
// groups, lowest first, all but the last with 128 added. CharClass ${kAlternating} is upper, lower, upper, …
inline constexpr uint8_t kAlternating = ${kAlternating};
inline constexpr uint8_t kClassRuns[] = {
${rows(classRuns)}
};

// First code point of a range << 9 | 256 where NFC_Quick_Check is not Yes | Canonical_Combining_Class.
inline constexpr uint32_t kNormalization[] = {
${rows(normalization.map(({ start, value }) => hex(start * 512 + value)))}
};

// One step of canonical decomposition, by code point: to two, to one, and beyond the basic plane (second = 0: to one).
struct Pair {
  uint16_t composed, first, second;
};
inline constexpr Pair kPairs[] = {
${rows(pairs.map(({ c, first, second }) => `{${hex(c)}, ${hex(first)}, ${hex(second)}}`))}
};
struct Single {
  uint16_t composed, first;
};
inline constexpr Single kSingles[] = {
${rows(singles.map(({ c, first }) => `{${hex(c)}, ${hex(first)}}`))}
};
struct LargePair {
  uint32_t composed, first, second;
};
inline constexpr LargePair kLargePairs[] = {
${rows(large.map(({ c, first, second }) => `{${hex(c)}, ${hex(first)}, ${hex(second)}}`))}
};
// What kBlockFirst, kBlockFirst + 1, … decompose to.
inline constexpr uint32_t kBlockFirst = ${hex(kBlockFirst)};
inline constexpr uint32_t kBlock[] = {
${rows(block.map(hex))}
};

// Indices of the pairs that compose, by (first, second).
inline constexpr uint16_t kPairOrder[] = {
${rows(pairOrder)}
};
inline constexpr uint16_t kLargePairOrder[] = {
${rows(largeOrder)}
};

}  // namespace sutra::text::tables
// clang-format on
`,
);
console.log(`${target}: Unicode ${version}, ${bytes} bytes of tables`);
