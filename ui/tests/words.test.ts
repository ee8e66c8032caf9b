import { expect, test } from 'vitest';
import { en } from '../src/words/en';
import { ko } from '../src/words/ko';

const sources = Object.values(
  import.meta.glob('../src/**/*.{ts,svelte}', { query: '?raw', import: 'default', eager: true }),
) as string[];
const code = sources.join('\n');
const places = (word: string | readonly string[]) =>
  [
    ...new Set(
      [
        ...[word]
          .flat()
          .join(' ')
          .matchAll(/\{\w+\}/g),
      ].map(([place]) => place),
    ),
  ].sort();

test('both languages say everything, with the same places to fill in', () => {
  for (const key of Object.keys(en) as (keyof typeof en)[]) {
    expect(places(ko[key]), key).toEqual(places(en[key]));
    expect(
      [ko[key]].flat().every((word) => word.trim().length > 0),
      key,
    ).toBe(true);
  }
});

test('no word is left that nothing says', () => {
  const unused = Object.keys(en).filter((key) => code.split(`'${key}'`).length < 2);
  expect(unused).toEqual([]);
});
