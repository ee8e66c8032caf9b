/** Edits LogQL text the way a click means it. The text stays the one truth; nothing here keeps a tree. */
import { levelPattern, type Level } from './levels';

export type MatchOp = '=' | '!=' | '=~' | '!~';
export interface Matcher {
  name: string;
  op: MatchOp;
  value: string;
}
interface Selector {
  /** Offsets of `{` and of the character behind `}`. */
  from: number;
  to: number;
  matchers: Matcher[];
}

const STRING = /"(?:[^"\\]|\\.)*"|`[^`]*`/y;
const MATCHER = /\s*([A-Za-z_][\w.]*)\s*(=~|!~|!=|=)\s*("(?:[^"\\]|\\.)*"|`[^`]*`)\s*(,|(?=\}))/y;

/** The first selector of a query, or null when there is none that could be read. */
export function findSelector(query: string): Selector | null {
  const from = indexOutsideStrings(query, '{');
  if (from < 0) return null;
  const matchers: Matcher[] = [];
  let at = from + 1;
  for (;;) {
    MATCHER.lastIndex = at;
    const match = MATCHER.exec(query);
    if (!match) break;
    matchers.push({ name: match[1]!, op: match[2] as MatchOp, value: unquote(match[3]!) });
    at = MATCHER.lastIndex;
  }
  const close = /\s*\}/y;
  close.lastIndex = at;
  return close.test(query) ? { from, to: close.lastIndex, matchers } : null;
}

function indexOutsideStrings(text: string, wanted: string): number {
  for (let at = 0; at < text.length; at++) {
    if (text[at] === wanted) return at;
    if (text[at] === '#') at = endOfLine(text, at);
    STRING.lastIndex = at;
    if (STRING.test(text)) at = STRING.lastIndex - 1;
  }
  return -1;
}

function endOfLine(text: string, at: number): number {
  const end = text.indexOf('\n', at);
  return end < 0 ? text.length : end;
}

export function quote(text: string): string {
  return JSON.stringify(text);
}

function unquote(text: string): string {
  if (text.startsWith('`')) return text.slice(1, -1);
  try {
    return JSON.parse(text) as string;
  } catch {
    return text.slice(1, -1); // an escape that Go knows and JSON does not
  }
}

export function printSelector(matchers: readonly Matcher[]): string {
  return `{${matchers.map(({ name, op, value }) => `${name}${op}${quote(value)}`).join(', ')}}`;
}

/** True for queries that give lines; false for those that give numbers. */
export function isLogQuery(query: string): boolean {
  return withoutComments(query).trim().startsWith('{');
}

function withoutComments(query: string): string {
  return query.replace(
    /("(?:[^"\\]|\\.)*"|`[^`]*`)|#[^\n]*/g,
    (_, string: string | undefined) => string ?? '',
  );
}

/** What was typed, as LogQL: nothing means everything, and words without a selector are searched for. */
export function toLogql(typed: string, everything: string): string {
  const text = typed.trim();
  if (!text) return everything;
  const looksLikeLogql = text.includes('{') || /^[a-z_]+\s*\(/.test(text);
  return looksLikeLogql ? text : `${everything} |= ${quote(text)}`;
}

const isEverything = ({ op, value }: Matcher) => op === '=~' && (value === '.+' || value === '.*');

/** Only the streams with (or without) this value. */
export function withMatcher(query: string, added: Matcher): string {
  const selector = findSelector(query);
  if (!selector) return printSelector([added]);
  const positive = added.op === '=' || added.op === '=~';
  const kept = selector.matchers.filter((old) => {
    if (old.name !== added.name) return !(positive && isEverything(old));
    if (positive) return old.op === '!=' && old.value !== added.value;
    return !(old.value === added.value && (old.op === '=' || old.op === '!='));
  });
  const matchers = [...kept, added];
  // Loki refuses a selector in which every matcher also fits the empty value.
  if (!matchers.some((one) => one.op === '=' || one.op === '=~')) {
    matchers.unshift({ name: added.name, op: '=~', value: '.+' });
  }
  return query.slice(0, selector.from) + printSelector(matchers) + query.slice(selector.to);
}

/** Only the lines with (or without) this text. */
export function withLineFilter(query: string, op: '|=' | '!=', text: string): string {
  return withStage(query, `${op} ${quote(text)}`);
}

/** Only the entries where this piece of metadata, or this extracted field, has (or has not) this value. */
export function withField(query: string, op: '=' | '!=', name: string, value: string): string {
  return withStage(query, `| ${name}${op}${quote(value)}`);
}

/** A log query with only these levels. A metric query stays as it is. */
export function withLevels(query: string, levels: readonly Level[]): string {
  if (!levels.length || !isLogQuery(query)) return query;
  const pattern = levelPattern(levels);
  return withStage(
    query,
    pattern.includes('|') ? `| detected_level=~${quote(pattern)}` : `| detected_level=${quote(pattern)}`,
  );
}

/** At the end of a log query; right behind the selector of a metric query, where every stage is allowed. */
function withStage(query: string, stage: string): string {
  if (query.includes(stage)) return query;
  if (isLogQuery(query)) {
    const endsInComment = query.length !== 0 && withoutComments(query).length !== query.length;
    return `${query.trimEnd()}${endsInComment ? '\n' : ' '}${stage}`;
  }
  const selector = findSelector(query);
  if (!selector) return query;
  return `${query.slice(0, selector.to)} ${stage}${query.slice(selector.to)}`;
}

/** The words that `|=` looks for: they are marked in the lines. */
export function searchedWords(query: string): string[] {
  return [...withoutComments(query).matchAll(/\|=\s*("(?:[^"\\]|\\.)*"|`[^`]*`)/g)]
    .map((match) => unquote(match[1]!))
    .filter((word) => word.trim().length > 0);
}
