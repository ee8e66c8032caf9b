/** Loki's API: what is asked, and rows out of what comes back. */
import { compareNs, makeRow, type LogRow, type Pairs } from '../logs/row';
import type { Span } from '../state/range';
import { address, getJson, Problem } from './http';

export interface LinesRequest {
  query: string;
  /** Nanoseconds; the end is not part of the answer. */
  startNs: string;
  endNs: string;
  limit: number;
  newestFirst: boolean;
  /** Names of labels; tells them from metadata where the server does not. */
  labelNames: ReadonlySet<string>;
}

export interface Lines {
  /** Oldest first, whatever was asked. */
  rows: LogRow[];
  /** What the server read for it; 0 when it does not say. */
  bytes: number;
}

/** `[time, line]`, and with categorized labels a third part. */
type Value = [string, string, { structuredMetadata?: Pairs; parsed?: Pairs }?];
export interface Stream {
  stream: Pairs;
  values: Value[];
}

interface Answer {
  data: {
    resultType: string;
    result: Stream[];
    stats?: { summary?: { totalBytesProcessed?: number } };
  };
}

/** Thrown when a query gives numbers where lines were wanted. */
export class NotLines extends Error {}

export async function fetchLines(request: LinesRequest, signal: AbortSignal): Promise<Lines> {
  const url = address('loki/api/v1/query_range', {
    query: request.query,
    start: request.startNs,
    end: request.endNs,
    limit: String(request.limit),
    direction: request.newestFirst ? 'backward' : 'forward',
  });
  // With this flag Loki says which pairs are labels and which are metadata.
  const headers = { 'X-Loki-Response-Encoding-Flags': 'categorize-labels' };
  const { data } = (await getJson(url, signal, headers)) as Answer;
  if (data?.resultType !== 'streams') throw new NotLines();
  return {
    rows: toRows(data.result, { labelNames: request.labelNames, reverse: request.newestFirst }),
    bytes: data.stats?.summary?.totalBytesProcessed ?? 0,
  };
}

/** Rows of all streams, oldest first. `reverse` when each stream came newest first: ties then keep their order. */
export function toRows(
  streams: readonly Stream[],
  { labelNames, reverse = false }: { labelNames: ReadonlySet<string>; reverse?: boolean },
): LogRow[] {
  const rows: LogRow[] = [];
  for (const { stream, values } of streams) {
    const [labels, shared] = split(stream, labelNames);
    for (const [ns, line, more] of reverse ? values.toReversed() : values) {
      const metadata = more ? { ...shared, ...more.structuredMetadata, ...more.parsed } : shared;
      rows.push(makeRow(ns, line, labels, metadata));
    }
  }
  return rows.sort((a, b) => compareNs(a.ns, b.ns));
}

function split(stream: Pairs, labelNames: ReadonlySet<string>): [Pairs, Pairs] {
  const labels: Record<string, string> = {};
  const metadata: Record<string, string> = {};
  for (const [name, value] of Object.entries(stream)) {
    const isLabel = labelNames.size ? labelNames.has(name) : name !== 'detected_level';
    (isLabel ? labels : metadata)[name] = value;
  }
  return [labels, metadata];
}

export async function fetchLabels(span: Span, signal: AbortSignal): Promise<string[]> {
  return strings(await getJson(address('loki/api/v1/labels', spanParams(span)), signal));
}

export async function fetchLabelValues(name: string, span: Span, signal: AbortSignal): Promise<string[]> {
  const path = `loki/api/v1/label/${encodeURIComponent(name)}/values`;
  return strings(await getJson(address(path, spanParams(span)), signal));
}

function spanParams(span: Span): Record<string, string> {
  return { start: toNs(span.fromMs), end: toNs(span.toMs) };
}

function strings(body: unknown): string[] {
  const data = (body as { data?: unknown }).data ?? [];
  if (!Array.isArray(data)) throw new Problem('unreadable', '');
  return data.filter((one): one is string => typeof one === 'string').sort();
}

export function toNs(ms: number): string {
  return `${Math.round(ms)}000000`;
}

export function nsPlus(ns: string, by: number): string {
  return String(BigInt(ns) + BigInt(by));
}

/** Where the live tail of a query is. */
export function tailAddress(query: string, startNs: string, limit: number): URL {
  const url = address('loki/api/v1/tail', { query, start: startNs, limit: String(limit) });
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
  return url;
}

export interface TailFrame {
  streams?: Stream[] | null;
  dropped_entries?: unknown[] | null;
}
