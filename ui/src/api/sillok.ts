/** Sillok's own API, beyond what Loki has. */
import { LEVELS, toLevel, type Level } from '../logs/levels';
import type { Span } from '../state/range';
import { address, getJson, Problem } from './http';
import { toNs } from './loki';

/** Lines per bar and level. `counts[level][i]` is bar `i`, which starts at `fromMs + i * stepMs`. */
export interface Histogram {
  fromMs: number;
  stepMs: number;
  bars: number;
  counts: Partial<Record<Level, number[]>>;
}

interface Answer {
  step_ns: number | string;
  levels: Record<string, [number | string, number][]>;
}

export async function fetchHistogram(
  query: string,
  span: Span,
  stepMs: number,
  signal: AbortSignal,
): Promise<Histogram> {
  const url = address('sillok/api/v1/histogram', {
    query,
    start: toNs(span.fromMs),
    end: toNs(span.toMs),
    step: `${stepMs / 1000}s`,
  });
  const body = (await getJson(url, signal)) as Answer;
  if (!body?.levels) throw new Problem('unreadable', '');
  return toHistogram(body, span);
}

/** Bars without gaps over the whole span, however sparse the answer is. */
export function toHistogram(answer: Answer, span: Span): Histogram {
  const stepMs = Number(answer.step_ns) / 1e6;
  const fromMs = Math.floor(span.fromMs / stepMs) * stepMs;
  const bars = Math.max(1, Math.ceil((span.toMs - fromMs) / stepMs));
  const counts: Partial<Record<Level, number[]>> = {};
  for (const [word, points] of Object.entries(answer.levels)) {
    const level = toLevel(word);
    const bar = (counts[level] ??= new Array<number>(bars).fill(0));
    for (const [ns, count] of points) {
      const i = Math.floor((Number(ns) / 1e6 - fromMs) / stepMs);
      if (i >= 0 && i < bars) bar[i]! += count;
    }
  }
  return { fromMs, stepMs, bars, counts };
}

export function totals(histogram: Histogram): Partial<Record<Level, number>> {
  const out: Partial<Record<Level, number>> = {};
  for (const level of LEVELS) {
    const counts = histogram.counts[level];
    const sum = counts?.reduce((a, b) => a + b, 0) ?? 0;
    if (sum) out[level] = sum;
  }
  return out;
}
