import { expect, test } from 'vitest';
import { fields, readable, segments, withHits, withoutColours, type Segment } from '../src/logs/text';
import { makeRandom } from './random';

const joined = (parts: Segment[]) => parts.map((part) => part.text).join('');

test.each([
  'plain words',
  'level=info msg="a b" user=12 took=3ms',
  '{"msg":"hi","n":3,"nested":{"a":"b"}}',
  'Traceback (most recent call last):\n  File "/app/x.py", line 3\nValueError: no',
  '한국어 로그 user=3 😀 "따옴표"',
  '',
])('cutting into segments loses nothing: %j', (line) => {
  expect(joined(segments(line))).toBe(line);
  expect(joined(withHits(segments(line), ['e', 'msg']))).toBe(line);
});

test('cutting random bytes into segments loses nothing', () => {
  const random = makeRandom(3);
  const letters = 'ab="{}:, \\\n19.한\u001b';
  for (let i = 0; i < 500; i++) {
    const line = Array.from({ length: random(60) }, () => letters[random(letters.length)]).join('');
    expect(joined(segments(line))).toBe(line);
    readable(line, {});
    fields(line);
  }
});

test('a structured line is read message first, without what the columns say already', () => {
  const line = '{"level":"error","ts":"2026","msg":"seat hold failed","user":7,"err":"no pool","app":"x"}';
  expect(joined(readable(line, { app: 'x' }))).toBe('seat hold failed  user=7  err="no pool"');
  expect(joined(readable('level=warn msg="slow down" rate=450/s', {}))).toBe('slow down  rate=450/s');
});

test('words between pairs are never hidden', () => {
  const line = '2026-11-21 INFO GET /x msg=hi user=3';
  expect(joined(readable(line, {}))).toBe(line);
});

test('fields of nested JSON are joined by an underscore', () => {
  expect(fields('{"a":{"b":1,"c":[1,2]},"d":"x"}')).toEqual([
    ['a_b', '1'],
    ['a_c', '[1,2]'],
    ['d', 'x'],
  ]);
  expect(fields('a=1 b="two words" c=')).toEqual([
    ['a', '1'],
    ['b', 'two words'],
    ['c', ''],
  ]);
});

test('searched words are marked, the first one first', () => {
  expect(withHits([{ text: 'pool timeout', kind: '' }], ['timeout', 'pool'])).toEqual([
    { text: 'pool', kind: 'hit' },
    { text: ' ', kind: '' },
    { text: 'timeout', kind: 'hit' },
  ]);
});

test('terminal colours are taken out', () => {
  expect(withoutColours('\u001b[31mred\u001b[0m plain')).toBe('red plain');
});
