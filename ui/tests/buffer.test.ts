import { expect, test } from 'vitest';
import { RowBuffer } from '../src/logs/buffer';
import { makeRow, type LogRow } from '../src/logs/row';

const rows = (count: number): LogRow[] =>
  Array.from({ length: count }, (_, i) =>
    makeRow(`17952364293${String(i).padStart(8, '0')}`, `line ${i}`, {}, {}),
  );
const lines = (list: readonly LogRow[]) => list.map((row) => row.line);

test.each([true, false])('every row is in sight at its own pixel, newest first: %s', (newestFirst) => {
  const buffer = new RowBuffer(1_000, (row) => 20 + (Number(row.ns.slice(-1)) % 3) * 20, newestFirst);
  buffer.append(rows(300));
  for (const place of [0, 1, 127, 128, 150, 299]) {
    const top = buffer.topOf(place);
    const seen = buffer.window(top, 1, 0);
    expect(lines(seen.rows)).toEqual([`line ${place}`]);
    expect(seen.top).toBe(top);
    expect(buffer.placeAt(top)).toBe(place);
  }
});

test('the newest row is on top when the newest come first', () => {
  const buffer = new RowBuffer(1_000, () => 20, true);
  buffer.append(rows(50));
  expect(lines(buffer.window(0, 60, 0).rows)).toEqual(['line 49', 'line 48', 'line 47']);
});

test('a list that gets wider keeps the places of its rows', () => {
  let height = 40;
  const buffer = new RowBuffer(100, () => height, true);
  const all = rows(150);
  buffer.append(all);
  const place = buffer.placeOf(all[100]!);
  height = 20;
  buffer.measureAgain();
  expect(buffer.placeOf(all[100]!)).toBe(place);
  expect(buffer.topOf(place)).toBe(49 * 20);
  expect(buffer.heights.total).toBe(2_000);
});

test('a full buffer drops its oldest rows, counts them and keeps the places of the others', () => {
  const buffer = new RowBuffer(100, () => 20, false);
  const all = rows(250);
  buffer.append(all.slice(0, 90));
  const kept = buffer.placeOf(all[60]!);
  buffer.append(all.slice(90, 150));
  expect(buffer.rows.length).toBe(100);
  expect(buffer.dropped).toBe(50);
  expect(buffer.placeOf(all[60]!)).toBe(kept);
  expect(buffer.placeOf(all[0]!)).toBe(-1);
  expect(buffer.heights.total).toBe(2_000);
});
