import { levelInLine, toLevel, type Level } from './levels';

export type Pairs = Readonly<Record<string, string>>;

/** One entry on the screen. */
export interface LogRow {
  /** Counts up as rows come in. It is the row's identity, never its place. */
  readonly id: number;
  /** Nanoseconds since 1970 as the server wrote them: a number would lose the last digits. */
  readonly ns: string;
  readonly ms: number;
  readonly line: string;
  /** What identifies the stream. */
  readonly labels: Pairs;
  /** Structured metadata and whatever the query's stages extracted. */
  readonly metadata: Pairs;
  readonly level: Level;
  readonly service: string;
}

const SERVICE_LABELS = ['service_name', 'service', 'app', 'job', 'container', 'filename'] as const;
let lastId = 0;

export function makeRow(ns: string, line: string, labels: Pairs, metadata: Pairs): LogRow {
  const service = SERVICE_LABELS.find((name) => labels[name] && labels[name] !== 'unknown_service');
  const said = metadata['detected_level'] ?? labels['detected_level'] ?? metadata['level'] ?? labels['level'];
  return {
    id: ++lastId,
    ns,
    ms: Number(ns.slice(0, -6)),
    line,
    labels,
    metadata,
    level: said ? toLevel(said) : levelInLine(line),
    service: service ? labels[service]! : '',
  };
}

/** Order of nanosecond strings, which have the same length from 2001 to 2286. */
export function compareNs(a: string, b: string): number {
  if (a.length !== b.length) return a.length - b.length;
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Two answers overlap at their edge: true when they hold the same entry. */
export function isSameEntry(a: LogRow, b: LogRow): boolean {
  return a.ns === b.ns && a.line === b.line && samePairs(a.labels, b.labels);
}

function samePairs(a: Pairs, b: Pairs): boolean {
  const names = Object.keys(a);
  return names.length === Object.keys(b).length && names.every((name) => a[name] === b[name]);
}
