/** A span of time as people choose it: "the last hour", or from here to there. */
export type Range = { last: string } | { fromMs: number; toMs: number };
export interface Span {
  fromMs: number;
  toMs: number;
}

const UNIT_MS: Record<string, number> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 };
const DURATION = /^(\d{1,5})([smhdw])$/;

/** The choices on offer. 14 days is Sillok's default retention. */
export const LAST_CHOICES = [
  '5m',
  '15m',
  '30m',
  '1h',
  '3h',
  '6h',
  '12h',
  '24h',
  '2d',
  '7d',
  '14d',
  '30d',
] as const;
export const DEFAULT_RANGE: Range = { last: '1h' };

/** Milliseconds of `15m`, `24h`, `7d`; null for anything else. */
export function durationMs(text: string): number | null {
  const match = DURATION.exec(text);
  return match && Number(match[1]) > 0 ? Number(match[1]) * UNIT_MS[match[2]!]! : null;
}

export function isRelative(range: Range): range is { last: string } {
  return 'last' in range;
}

export function toSpan(range: Range, nowMs: number): Span {
  if (!isRelative(range)) return range;
  return { fromMs: nowMs - (durationMs(range.last) ?? UNIT_MS['h']!), toMs: nowMs };
}

/** The next wider choice on offer, for "nothing here, look further back". */
export function widerThan(range: Range): Range | null {
  if (!isRelative(range)) return null;
  const length = durationMs(range.last) ?? 0;
  const wider = ['6h', '24h', '7d', '30d'].find((choice) => durationMs(choice)! > length);
  return wider ? { last: wider } : null;
}

/** The same length, one length earlier (-1) or later (+1). */
export function shifted(span: Span, by: number): Span {
  const length = span.toMs - span.fromMs;
  return { fromMs: span.fromMs + by * length, toMs: span.toMs + by * length };
}

/** Twice the length around the same middle. */
export function widened(span: Span): Span {
  const half = (span.toMs - span.fromMs) / 2;
  return { fromMs: span.fromMs - half, toMs: span.toMs + half };
}

const STEPS_MS = [
  ...[1, 2, 5, 10, 15, 30].map((n) => n * UNIT_MS['s']!),
  ...[1, 2, 5, 10, 15, 30].map((n) => n * UNIT_MS['m']!),
  ...[1, 2, 3, 6, 12].map((n) => n * UNIT_MS['h']!),
  ...[1, 2, 7, 30].map((n) => n * UNIT_MS['d']!),
];

/** A round step that cuts a span into at most `bars` pieces. */
export function stepMs(span: Span, bars: number): number {
  const wanted = (span.toMs - span.fromMs) / bars;
  return STEPS_MS.find((step) => step >= wanted) ?? STEPS_MS[STEPS_MS.length - 1]!;
}
