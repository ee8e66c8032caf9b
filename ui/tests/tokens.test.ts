import { expect, test } from 'vitest';
import css from '../src/style/tokens.css?raw';

type Colours = Record<string, string>;
const themes = Object.fromEntries(
  [...css.matchAll(/\[data-theme='(\w+)'\] \{([^}]*)\}/g)].map(([, name, body]) => [
    name!,
    Object.fromEntries(
      [...body!.matchAll(/--([\w-]+): (#[0-9a-f]{6});/g)].map(([, key, value]) => [key!, value!]),
    ),
  ]),
) as Record<'dark' | 'light', Colours>;

function luminance(hex: string): number {
  const [r, g, b] = [1, 3, 5].map((at) => {
    const part = parseInt(hex.slice(at, at + 2), 16) / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r! + 0.7152 * g! + 0.0722 * b!;
}
function contrast(a: string, b: string): number {
  const [dark, light] = [luminance(a), luminance(b)].sort((x, y) => x - y);
  return (light! + 0.05) / (dark! + 0.05);
}

const LEVELS = ['critical', 'error', 'warn', 'info', 'debug', 'trace', 'unknown'];
const TEXTS = ['text', 'muted', 'faint', 'accent', 'key', 'num', 'str', 'pun', 'ok', ...LEVELS];
const SURFACES = ['bg', 'panel', 'raised', 'hover', 'selected'];

test.each(['dark', 'light'] as const)('every text can be read on every surface (%s)', (theme) => {
  const colours = themes[theme];
  for (const text of TEXTS)
    for (const surface of SURFACES)
      expect(contrast(colours[text]!, colours[surface]!), `${text} on ${surface}`).toBeGreaterThanOrEqual(
        4.5,
      );
  expect(contrast(colours['on-accent']!, colours['accent-fill']!)).toBeGreaterThanOrEqual(4.5);
  expect(contrast(colours['mark-text']!, colours['mark']!)).toBeGreaterThanOrEqual(4.5);
});

test.each(['dark', 'light'] as const)('every mark of a level can be seen (%s)', (theme) => {
  for (const level of LEVELS)
    expect(contrast(themes[theme][`${level}-fill`]!, themes[theme]['bg']!), level).toBeGreaterThanOrEqual(3);
});
