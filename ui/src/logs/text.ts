/** A log line as people read it: cut into segments with a kind, structured lines with the message first. */
import type { Pairs } from './row';

export type SegmentKind = '' | 'key' | 'number' | 'string' | 'punctuation' | 'failure' | 'hit';
export interface Segment {
  text: string;
  kind: SegmentKind;
}

/** Longer lines are shown to here in the list; the details show all of it. */
export const MAX_SHOWN_CHARS = 4_000;

const TOKENS =
  /"((?:[^"\\]|\\.)*)"(\s*:)?|([A-Za-z_][\w.-]*)=("(?:[^"\\]|\\.)*"|[^\s"]*)|\b(\d+(?:\.\d+)?(?:ns|µs|us|ms|s|m|h|B|KB|MB|GB|\/s)?)\b|\b(ERROR|FATAL|CRITICAL|PANIC|Traceback|[A-Za-z.]*(?:Error|Exception|Timeout))\b/g;
const PAIR = /([A-Za-z_][\w.-]*)=("(?:[^"\\]|\\.)*"|[^\s"]*)/g;
const NUMBER = /^-?\d+(\.\d+)?([a-zµ%]{1,2}|\/s)?$/i;
// Terminal colours, as programs write them for a terminal that is not there.
const ANSI = /\u001b\[[0-9;?]*[A-Za-z]/g;

export function withoutColours(line: string): string {
  return line.includes('\u001b') ? line.replace(ANSI, '') : line;
}

export function segments(line: string): Segment[] {
  const out: Segment[] = [];
  let last = 0;
  for (const match of line.matchAll(TOKENS)) {
    if (match.index > last) out.push({ text: line.slice(last, match.index), kind: '' });
    const [whole, quoted, colon, key, value, number] = match;
    if (quoted !== undefined) {
      out.push({ text: `"${quoted}"`, kind: colon ? 'key' : 'string' });
      if (colon) out.push({ text: colon, kind: 'punctuation' });
    } else if (key !== undefined) {
      out.push({ text: `${key}=`, kind: 'key' }, { text: value!, kind: kindOf(value!) });
    } else {
      out.push({ text: whole, kind: number !== undefined ? 'number' : 'failure' });
    }
    last = match.index + whole.length;
  }
  if (last < line.length) out.push({ text: line.slice(last), kind: '' });
  return out;
}

function kindOf(value: string): SegmentKind {
  if (value.startsWith('"')) return 'string';
  return NUMBER.test(value) ? 'number' : '';
}

const MESSAGE_KEYS = ['msg', 'message', 'event', 'log'];
const SAID_ELSEWHERE = new Set([
  ...['level', 'lvl', 'severity', 'levelname'],
  ...['ts', 'time', 'timestamp', '@timestamp', 't'],
]);
const FAILURE_KEYS = new Set(['err', 'error', 'exception']);

/** Message first, then the other fields with dim keys, without what the columns already say. Anything else as it came. */
export function readable(line: string, labels: Pairs): Segment[] {
  if (!line.startsWith('{') && !isLogfmt(line)) return segments(line);
  const found = fields(line);
  if (found.length < 2) return segments(line);
  const message = found.find(([key]) => MESSAGE_KEYS.includes(key));
  const out: Segment[] = message ? [{ text: message[1], kind: '' }] : [];
  for (const pair of found) {
    const [key, value] = pair;
    if (pair === message || SAID_ELSEWHERE.has(key) || labels[key] === value) continue;
    out.push({ text: `${out.length ? '  ' : ''}${key}=`, kind: 'key' });
    out.push({ text: /\s/.test(value) ? JSON.stringify(value) : value, kind: fieldKind(key, value) });
  }
  return out.length ? out : segments(line);
}

/** Nothing but pairs: a word between them would be lost otherwise. */
function isLogfmt(line: string): boolean {
  return line.includes('=') && !line.replace(PAIR, '').trim();
}

function fieldKind(key: string, value: string): SegmentKind {
  if (FAILURE_KEYS.has(key)) return 'failure';
  return NUMBER.test(value) ? 'number' : 'string';
}

/** Fields of a JSON object or of `key=value` text, nested names joined by `_` as Loki's `json` stage joins them. */
export function fields(line: string): [string, string][] {
  const text = line.trim();
  if (text.startsWith('{')) {
    try {
      return flatten(JSON.parse(text), '', []);
    } catch {
      // Not JSON after all.
    }
  }
  return [...text.matchAll(PAIR)].map((match) => [
    match[1]!,
    match[2]!.startsWith('"') ? unquoted(match[2]!) : match[2]!,
  ]);
}

function unquoted(text: string): string {
  return text.slice(1, -1).replace(/\\(["\\])/g, '$1');
}

function flatten(value: unknown, path: string, out: [string, string][]): [string, string][] {
  if (value === null || typeof value !== 'object' || Array.isArray(value)) {
    out.push([path, typeof value === 'string' ? value : JSON.stringify(value)]);
    return out;
  }
  for (const [key, inner] of Object.entries(value)) flatten(inner, path ? `${path}_${key}` : key, out);
  return out;
}

/** The same text with the searched words as segments of their own. */
export function withHits(parts: Segment[], words: readonly string[]): Segment[] {
  if (!words.length) return parts;
  return parts.flatMap((part) => cutOut(part, words));
}

function cutOut(part: Segment, words: readonly string[]): Segment[] {
  const out: Segment[] = [];
  let rest = part.text;
  for (;;) {
    const hit = firstHit(rest, words);
    if (!hit) break;
    if (hit.at) out.push({ text: rest.slice(0, hit.at), kind: part.kind });
    out.push({ text: hit.word, kind: 'hit' });
    rest = rest.slice(hit.at + hit.word.length);
  }
  if (rest || !out.length) out.push({ text: rest, kind: part.kind });
  return out;
}

function firstHit(text: string, words: readonly string[]): { at: number; word: string } | null {
  let found: { at: number; word: string } | null = null;
  for (const word of words) {
    const at = word ? text.indexOf(word) : -1;
    if (at >= 0 && (!found || at < found.at)) found = { at, word };
  }
  return found;
}
