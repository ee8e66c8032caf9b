import { expect, test } from 'vitest';
import { Heights } from '../src/logs/heights';
import { makeRandom } from './random';

test('heights agree with a plain array through 3,000 random steps', () => {
  const random = makeRandom(7);
  const heights = new Heights();
  let plain: number[] = [];
  for (let step = 0; step < 3_000; step++) {
    const choice = random(10);
    if (choice < 6) {
      const height = 18 + random(200);
      heights.push(height);
      plain.push(height);
    } else if (choice < 8 && plain.length) {
      const at = random(plain.length);
      const height = 18 + random(200);
      heights.set(heights.first + at, height);
      plain[at] = height;
    } else {
      const count = random(Math.min(200, plain.length + 1));
      heights.trim(count);
      plain = plain.slice(count);
    }
    if (step % 50) continue;
    expect(heights.length).toBe(plain.length);
    expect(heights.total).toBe(plain.reduce((a, b) => a + b, 0));
    if (!plain.length) continue;
    const at = random(plain.length);
    const above = plain.slice(0, at).reduce((a, b) => a + b, 0);
    expect(heights.offset(heights.first + at)).toBe(above);
    expect(heights.at(above)).toBe(heights.first + at);
    expect(heights.at(above + plain[at]! - 1)).toBe(heights.first + at);
  }
});
