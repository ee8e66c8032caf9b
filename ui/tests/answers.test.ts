import { expect, test } from 'vitest';
import { nsPlus, toRows } from '../src/api/loki';
import { toHistogram, totals } from '../src/api/sillok';
import { levelInLine, toLevel } from '../src/logs/levels';
import { exact } from '../src/logs/time';

const NS = '1795236429000000000';

test('rows of all streams come oldest first, ties in the order they were written', () => {
  const streams = [
    {
      stream: { a: '1' },
      values: [
        [nsPlus(NS, 2), 'third'],
        [NS, 'second'],
        [NS, 'first'],
      ] as [string, string][],
    },
    { stream: { a: '2' }, values: [[nsPlus(NS, 1), 'between']] as [string, string][] },
  ];
  const rows = toRows(streams, { labelNames: new Set(), reverse: true });
  expect(rows.map((row) => row.line)).toEqual(['first', 'second', 'between', 'third']);
});

test('labels and metadata are told apart, by the server or by the names of labels', () => {
  const said = toRows(
    [{ stream: { app: 'x' }, values: [[NS, 'l', { structuredMetadata: { detected_level: 'warn' } }]] }],
    {
      labelNames: new Set(),
    },
  )[0]!;
  expect([said.labels, said.metadata, said.level]).toEqual([
    { app: 'x' },
    { detected_level: 'warn' },
    'warn',
  ]);
  const merged = toRows(
    [{ stream: { app: 'x', trace: '7', detected_level: 'fatal' }, values: [[NS, 'l']] }],
    {
      labelNames: new Set(['app']),
    },
  )[0]!;
  expect([merged.labels, merged.metadata, merged.level]).toEqual([
    { app: 'x' },
    { trace: '7', detected_level: 'fatal' },
    'critical',
  ]);
});

test('a level is recognised however it is spelled, and in the line when nothing else says it', () => {
  expect(['ERROR', 'Warning', 'fatal', 'loud', undefined].map((word) => toLevel(word))).toEqual([
    'error',
    'warn',
    'critical',
    'unknown',
    'unknown',
  ]);
  expect(levelInLine('{"time":1,"level":"error"}')).toBe('error');
  expect(levelInLine('ts=1 level=warn msg=x')).toBe('warn');
  expect(levelInLine('nothing of the kind')).toBe('unknown');
});

test('a sparse histogram becomes bars without gaps, and what lies outside is left out', () => {
  const span = { fromMs: 1_000_500, toMs: 1_003_500 };
  const histogram = toHistogram(
    {
      step_ns: 1e9,
      levels: {
        fatal: [['1001000000000', 2]],
        error: [
          [1_003_000_000_000, 3],
          [9e18, 9],
        ],
        critical: [[1_001_000_000_000, 1]],
      },
    },
    span,
  );
  expect(histogram).toEqual({
    fromMs: 1_000_000,
    stepMs: 1_000,
    bars: 4,
    counts: { critical: [0, 3, 0, 0], error: [0, 0, 0, 3] },
  });
  expect(totals(histogram)).toEqual({ critical: 3, error: 3 });
});

test('no digit of a nanosecond is lost', () => {
  expect(exact('1795236429301345594')).toBe('2026-11-21T04:47:09.301345594Z');
  expect(nsPlus('1795236429999999999', 1)).toBe('1795236430000000000');
});
