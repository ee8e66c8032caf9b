import { expect, test } from 'vitest';
import { durationMs, shifted, stepMs, toSpan, widened, widerThan } from '../src/state/range';

test('durations are read strictly', () => {
  expect(durationMs('15m')).toBe(900_000);
  expect(durationMs('2w')).toBe(1_209_600_000);
  for (const wrong of ['', '0h', 'm', '1.5h', '-1h', '5y']) expect(durationMs(wrong)).toBeNull();
});

test('a step is round and gives no more bars than asked for', () => {
  for (const length of [1_000, 60_000, 3_600_000, 86_400_000, 30 * 86_400_000]) {
    const step = stepMs({ fromMs: 0, toMs: length }, 120);
    expect(length / step).toBeLessThanOrEqual(120);
  }
  expect(stepMs({ fromMs: 0, toMs: 3_600_000 }, 120)).toBe(30_000);
});

test('shifting and widening keep their middle and their length', () => {
  const span = { fromMs: 1_000, toMs: 3_000 };
  expect(shifted(span, -1)).toEqual({ fromMs: -1_000, toMs: 1_000 });
  expect(widened(span)).toEqual({ fromMs: 0, toMs: 4_000 });
  expect(toSpan({ last: '1h' }, 3_600_000)).toEqual({ fromMs: 0, toMs: 3_600_000 });
  expect(widerThan({ last: '1h' })).toEqual({ last: '6h' });
  expect(widerThan({ last: '30d' })).toBeNull();
});
