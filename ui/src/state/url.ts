/** The address is the state: what a reload, a bookmark and a colleague see. Both directions, no browser in here. */
import { LEVELS, type Level } from '../logs/levels';
import { DEFAULT_RANGE, durationMs, isRelative, type Range } from './range';

export const LIMITS = [100, 500, 1_000, 2_000, 5_000] as const;
export const DEFAULT_LIMIT = 1_000;

export interface View {
  query: string;
  range: Range;
  limit: number;
  newestFirst: boolean;
  /** Only these; empty means all. */
  levels: Level[];
  live: boolean;
  /** Nanoseconds of the selected line. */
  selected: string | null;
}

export function readView(search: string): View {
  const params = new URLSearchParams(search);
  const limit = Number(params.get('limit'));
  const selected = params.get('sel');
  return {
    query: params.get('q') ?? '',
    range: readRange(params.get('from'), params.get('to')),
    limit: LIMITS.find((choice) => choice === limit) ?? DEFAULT_LIMIT,
    newestFirst: params.get('order') !== 'oldest',
    levels: LEVELS.filter((level) => params.get('levels')?.split(',').includes(level)),
    live: params.get('live') === '1',
    selected: selected && /^\d{1,20}$/.test(selected) ? selected : null,
  };
}

function readRange(from: string | null, to: string | null): Range {
  const last = from?.startsWith('now-') ? from.slice(4) : '';
  if (durationMs(last)) return { last };
  const fromMs = Date.parse(from ?? '');
  const toMs = Date.parse(to ?? '');
  return fromMs < toMs ? { fromMs, toMs } : DEFAULT_RANGE;
}

export function printView(view: View): string {
  const params = new URLSearchParams();
  if (view.query) params.set('q', view.query);
  if (!isRelative(view.range)) {
    params.set('from', new Date(view.range.fromMs).toISOString());
    params.set('to', new Date(view.range.toMs).toISOString());
  } else if (view.range.last !== (DEFAULT_RANGE as { last: string }).last) {
    params.set('from', `now-${view.range.last}`);
  }
  if (view.limit !== DEFAULT_LIMIT) params.set('limit', String(view.limit));
  if (!view.newestFirst) params.set('order', 'oldest');
  if (view.levels.length) params.set('levels', view.levels.join(','));
  if (view.live) params.set('live', '1');
  if (view.selected) params.set('sel', view.selected);
  const text = params.toString();
  return text ? `?${text}` : '';
}
