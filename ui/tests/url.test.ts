import { expect, test } from 'vitest';
import { LEVELS } from '../src/logs/levels';
import { LAST_CHOICES } from '../src/state/range';
import { LIMITS, printView, readView, type View } from '../src/state/url';
import { makeRandom } from './random';

test('the address is the state, both ways', () => {
  const random = makeRandom(5);
  for (let i = 0; i < 300; i++) {
    const fromMs = 1_700_000_000_000 + random(1_000_000_000);
    const view: View = {
      query: ['', '{a="b"} |= "한 & = ?"', 'x'][random(3)]!,
      range: random(2) ? { last: LAST_CHOICES[random(12)]! } : { fromMs, toMs: fromMs + 1 + random(10_000) },
      limit: LIMITS[random(5)]!,
      newestFirst: random(2) === 0,
      levels: LEVELS.filter(() => random(3) === 0),
      live: random(2) === 0,
      selected: random(2) ? '1795236429301345594' : null,
    };
    expect(readView(printView(view))).toEqual(view);
  }
});

test('nonsense in the address means the default', () => {
  const view = readView('?from=now-x&to=y&limit=7&levels=loud,error&sel=<b>&order=up');
  expect(view).toEqual({
    query: '',
    range: { last: '1h' },
    limit: 1_000,
    newestFirst: true,
    levels: ['error'],
    live: false,
    selected: null,
  });
  expect(readView('?from=2026-11-20T11:00:00Z&to=2026-11-20T10:00:00Z').range).toEqual({ last: '1h' });
});
