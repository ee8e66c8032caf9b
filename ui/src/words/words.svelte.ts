/** The words in the language of the moment, and numbers and times as that language writes them. */
import { durationMs, isRelative, type Range, type Span } from '../state/range';
import { preferences } from '../state/preferences.svelte';
import { en, type Key, type Words } from './en';
import { ko } from './ko';

export const LANGUAGES = { en: 'English', ko: '한국어' } as const;
export type Language = keyof typeof LANGUAGES;
const WORDS: Record<Language, Words> = { en, ko };

type Fill = Readonly<Record<string, string | number>>;
/** Words that have a form for one and a form for many. */
export type CountKey = { [K in Key]: Words[K] extends string ? never : K }[Key];
export type PlainKey = Exclude<Key, CountKey>;

export function t(key: PlainKey, fill: Fill = {}): string {
  return filled(WORDS[preferences.language][key], fill);
}

/** The form that fits the count; the count itself is `{n}`. */
export function count(key: CountKey, n: number, fill: Fill = {}): string {
  const [one, many] = WORDS[preferences.language][key];
  return filled(n === 1 ? one : many, { ...fill, n: number(n) });
}

function filled(text: string, fill: Fill): string {
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => String(fill[name] ?? whole));
}

export function number(n: number): string {
  return new Intl.NumberFormat(preferences.language).format(n);
}

const UNITS: [number, CountKey][] = [
  [86_400_000, 'days'],
  [3_600_000, 'hours'],
  [60_000, 'minutes'],
];

/** `90 minutes`, `2 days`: the largest unit that divides the time. 24 hours stay hours. */
export function duration(ms: number): string {
  const unit = UNITS.find(([size]) => ms >= size && ms % size === 0 && !(size === 86_400_000 && ms === size));
  return unit ? count(unit[1], ms / unit[0]) : count('seconds', Math.round(ms / 1000));
}

export function rangeWords(range: Range): string {
  return isRelative(range) ? lastWords(range.last) : spanWords(range);
}

export function lastWords(last: string): string {
  return last === '1h' ? t('lastHour') : t('last', { time: duration(durationMs(last) ?? 0) });
}

function spanWords(range: Span): string {
  return new Intl.DateTimeFormat(preferences.language, {
    ...{ month: 'short', day: 'numeric', hour: '2-digit', minute: '2-digit', second: '2-digit' },
    hourCycle: 'h23',
  } as Intl.DateTimeFormatOptions).formatRange(range.fromMs, range.toMs);
}

export function bytes(n: number): string {
  const units = ['B', 'KB', 'MB', 'GB', 'TB'];
  const power = n < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log10(n) / 3));
  const digits = power === 0 ? 0 : 1;
  return `${(n / 1000 ** power).toFixed(digits)} ${units[power]}`;
}
