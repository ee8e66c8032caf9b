/** What the Explore page knows: what is asked, what came, what is selected. */
import { untrack } from 'svelte';
import { Problem } from '../api/http';
import { fetchLabels, fetchLabelValues, fetchLines, nsPlus, NotLines, toNs, type Lines } from '../api/loki';
import { RowBuffer } from './buffer';
import { LEVELS, type Level } from './levels';
import { Live } from './live.svelte';
import { searchedWords, toLogql, withLevels } from './query';
import { isSameEntry, type LogRow } from './row';
import { readable, segments, withoutColours, MAX_SHOWN_CHARS, fields, type Segment } from './text';
import { Volume } from './volume.svelte';
import { preferences } from '../state/preferences.svelte';
import { DEFAULT_RANGE, isRelative, shifted, toSpan, widened, type Range, type Span } from '../state/range';
import { DEFAULT_LIMIT, printView, readView, type View } from '../state/url';

export const ERRORS: readonly Level[] = ['critical', 'error'];
/** Lines that one page holds. */
export const MAX_ROWS = 20_000;
/** A live tail keeps this many, so that hours of it cost no more than minutes. */
const MAX_LIVE_ROWS = 10_000;
const FIRST_LINE_POLL_MS = 3_000;
/** Live: how often the volume is counted again. */
const VOLUME_REFRESH_MS = 5_000;
/** Levels picked out in the page: this many are looked for before the reader is asked whether to go on. */
const WANTED_OF_LEVELS = 100;
const LIMIT_OF_SEARCH = 5_000;
const MONTH_MS = 30 * 86_400_000;
const LABELS_OF_EVERYTHING = ['service_name', 'service', 'job'] as const;

type Phase = 'idle' | 'waiting' | 'done' | 'failed';

export class Explore {
  // What is asked.
  text = $state('');
  range = $state.raw<Range>(DEFAULT_RANGE);
  limit = $state<number>(DEFAULT_LIMIT);
  newestFirst = $state(true);
  levels = $state.raw<readonly Level[]>([]); // only these; empty means all

  // What came.
  phase = $state<Phase>('idle');
  problem = $state.raw<Problem | NotLines | null>(null);
  asked = $state(''); // the query of the lines on the screen, without the levels
  span = $state.raw<Span>({ fromMs: 0, toMs: 0 });
  hasMore = $state(false);
  isLoadingMore = $state(false);
  tookMs = $state(0);
  bytes = $state(0);
  hasNoData = $state(false); // nothing is stored at all: the first run
  version = $state(0); // the rows changed: the list draws again
  selected = $state.raw<LogRow | null>(null);
  labelNames = $state.raw<readonly string[]>([]);

  /** Whether the server can pick out levels. Where its LogQL has no such stage, the page does it. */
  levelsOnServer = $state(true);

  readonly words = $derived(searchedWords(this.asked));
  readonly errorsOnly = $derived(
    this.levels.length === ERRORS.length && ERRORS.every((l) => this.levels.includes(l)),
  );
  readonly volume = new Volume();
  readonly live = new Live((rows) => this.append(rows));
  readonly buffer = new RowBuffer(MAX_ROWS, (row) => this.estimate(row));

  /** All rows that came, oldest first; the buffer holds those of the levels that are shown. */
  private loaded: LogRow[] = [];

  /** Characters that fit into a row; the list measures it. */
  columns = 120;
  /** Ranges to come back to after a zoom. */
  before = $state.raw<readonly Range[]>([]);

  private asking: AbortController | null = null;
  private labelSet: ReadonlySet<string> = new Set();
  private wanted: string | null = null; // the line to select when it comes
  private timer = 0;

  constructor() {
    this.read(location.search);
  }

  /** Take the address as it is: at the start, and on back and forward. */
  read(search: string): void {
    const view = readView(search);
    this.text = view.query;
    this.range = view.range;
    this.limit = view.limit;
    this.newestFirst = view.newestFirst;
    this.levels = view.levels;
    this.wanted = view.selected;
    void this.run({ live: view.live, remember: false });
  }

  /** The address of this view. Shared with others, its times are absolute. */
  address({ absolute = false } = {}): string {
    const view: View = {
      query: this.text,
      range: absolute ? this.span : this.range,
      limit: this.limit,
      newestFirst: this.newestFirst,
      levels: [...this.levels],
      live: this.live.isOn && !absolute,
      selected: this.selected?.ns ?? null,
    };
    return printView(view);
  }

  private remember(how: 'push' | 'replace'): void {
    const search = this.address();
    if (search === location.search) return;
    const url = location.pathname + search;
    if (how === 'push') history.pushState(null, '', url);
    else history.replaceState(null, '', url);
  }

  /** Ask for everything on the page. */
  async run({ live = this.live.isOn, remember = true } = {}): Promise<void> {
    const asking = this.begin();
    if (live && !isRelative(this.range)) this.range = DEFAULT_RANGE;
    const nowMs = Date.now();
    this.span = toSpan(this.range, nowMs);
    const labels = this.loadLabels(asking.signal);
    // Words without a selector need a label to search in; otherwise the lines do not wait for the labels.
    if (!this.labelSet.size || !this.text.includes('{')) await labels;
    if (asking.signal.aborted) return;
    this.text = toLogql(this.text, this.everything());
    if (live) this.live.isOn = true;
    this.remember(remember ? 'push' : 'replace');
    this.asked = this.text;
    void this.volume.load(this.text, this.span);
    const lines = await this.ask(asking, toNs(this.span.fromMs), toNs(this.span.toMs));
    if (asking.signal.aborted) return;
    if (!lines) return this.live.stop();
    this.take(lines);
    if (live) this.startLive();
    else if (this.pickedHere) void this.loadMore();
    if (!lines.rows.length && !this.labelNames.length) await this.lookForAnything(asking.signal);
  }

  private begin(): AbortController {
    this.asking?.abort();
    clearTimeout(this.timer);
    this.live.stop();
    this.phase = 'waiting';
    this.isLoadingMore = false;
    return (this.asking = new AbortController());
  }

  stop(): void {
    this.asking?.abort();
    this.volume.stop();
    this.isLoadingMore = false;
    this.phase = this.buffer.rows.length ? 'done' : 'idle';
  }

  private async ask(asking: AbortController, startNs: string, endNs: string, limit = this.limit) {
    const began = performance.now();
    try {
      const lines = await this.fetchOfLevels(asking.signal, { startNs, endNs, limit });
      this.tookMs = performance.now() - began;
      return lines;
    } catch (error) {
      if (!asking.signal.aborted) this.fail(error);
      return null;
    }
  }

  /** Lines of the chosen levels, if the server can; else of all, once it has refused. */
  private async fetchOfLevels(
    signal: AbortSignal,
    part: { startNs: string; endNs: string; limit: number },
  ): Promise<Lines> {
    const request = {
      ...part,
      newestFirst: this.newestFirst || this.live.isOn,
      labelNames: this.labelSet,
    };
    if (this.levelsOnServer) {
      try {
        return await fetchLines({ ...request, query: withLevels(this.asked, this.levels) }, signal);
      } catch (error) {
        const isRefused = error instanceof Problem && error.kind === 'refused';
        if (!isRefused || !this.levels.length) throw error;
      }
    }
    const lines = await fetchLines({ ...request, query: this.asked }, signal);
    if (this.levels.length) this.levelsOnServer = false;
    return lines;
  }

  private fail(error: unknown): void {
    const isKnown = error instanceof Problem || error instanceof NotLines;
    this.problem = isKnown ? error : new Problem('unreadable', '');
    this.phase = 'failed';
    // What cannot be reached now may come back: the lines on the screen stay. A refused query has no lines.
    if (error instanceof Problem && ['unreachable', 'busy', 'failed'].includes(error.kind)) return;
    this.hasMore = false;
    this.show([]);
  }

  private take(lines: Lines): void {
    this.problem = null;
    if (lines.rows.length) this.hasNoData = false;
    this.bytes = lines.bytes;
    this.hasMore = lines.rows.length >= this.limit;
    this.phase = 'done';
    this.show(lines.rows);
  }

  private show(rows: LogRow[]): void {
    this.buffer.newestFirst = this.newestFirst;
    this.put(rows);
    const wanted = this.wanted;
    this.selected = wanted ? (rows.find((row) => row.ns === wanted) ?? null) : null;
    this.wanted = null;
  }

  private put(rows: LogRow[]): void {
    this.loaded = rows;
    this.buffer.replace(this.pickedHere ? rows.filter((row) => this.isShown(row.level)) : rows);
    this.version++;
  }

  /** True when the page, not the server, picks out the levels. */
  get pickedHere(): boolean {
    return this.levels.length > 0 && !this.levelsOnServer;
  }

  /** Rows that came, whether shown or not. */
  get loadedCount(): number {
    return this.loaded.length;
  }

  /** More lines in the direction of reading, joined without a gap and without a double. */
  async loadMore(): Promise<void> {
    const { asking } = this;
    if (this.isLoadingMore || !asking) return;
    this.isLoadingMore = true;
    const before = this.buffer.rows.length;
    do {
      if (!(await this.loadPart(asking))) break;
    } while (this.pickedHere && this.buffer.rows.length - before < WANTED_OF_LEVELS);
    if (!asking.signal.aborted) this.isLoadingMore = false;
  }

  /** Says whether there may be more. */
  private async loadPart(asking: AbortController): Promise<boolean> {
    const rows = this.loaded;
    const edge = this.newestFirst ? rows[0] : rows[rows.length - 1];
    if (!edge || !this.hasMore || this.isFull) return false;
    const limit = this.pickedHere ? LIMIT_OF_SEARCH : this.limit;
    const [startNs, endNs] = this.newestFirst
      ? [toNs(this.span.fromMs), nsPlus(edge.ns, 1)]
      : [edge.ns, toNs(this.span.toMs)];
    const lines = await this.ask(asking, startNs, endNs, limit);
    if (!lines || asking.signal.aborted) return false;
    const known = rows.filter((row) => row.ns === edge.ns);
    const fresh = lines.rows.filter((row) => !takeOut(known, row));
    this.bytes += lines.bytes;
    this.hasMore = lines.rows.length >= limit && fresh.length > 0;
    this.put(this.newestFirst ? [...fresh, ...rows] : [...rows, ...fresh]);
    return this.hasMore;
  }

  readonly isFull = $derived.by(() => {
    void this.version;
    return this.loaded.length + this.limit > MAX_ROWS;
  });

  // Labels, and what "everything" is in this store.

  private async loadLabels(signal: AbortSignal): Promise<void> {
    const nowMs = Date.now();
    const span = { fromMs: Math.min(this.span.fromMs, nowMs - MONTH_MS / 4), toMs: nowMs };
    try {
      this.labelNames = await fetchLabels(span, signal);
      this.labelSet = new Set(this.labelNames);
    } catch {
      // The request for lines says what is wrong, in words.
    }
  }

  labelValues(name: string): Promise<string[]> {
    return fetchLabelValues(name, this.span, new AbortController().signal);
  }

  /** A selector that every stream fits. */
  everything(): string {
    const names = this.labelNames;
    const name = LABELS_OF_EVERYTHING.find((one) => names.includes(one)) ?? names[0] ?? 'service_name';
    return `{${name}=~".+"}`;
  }

  /** Names of metadata and of fields in the newest lines, for completion. */
  fieldNames(): string[] {
    const names = new Set<string>();
    for (const row of this.buffer.rows.slice(-200)) {
      for (const name of Object.keys(row.metadata)) names.add(name);
      for (const [name] of fields(row.line)) names.add(name);
    }
    return [...names].sort();
  }

  /** No line here: is there any anywhere? If not, wait for the first one and show it. */
  private async lookForAnything(signal: AbortSignal): Promise<void> {
    const nowMs = Date.now();
    const names = await fetchLabels({ fromMs: nowMs - MONTH_MS, toMs: nowMs }, signal).catch(() => null);
    if (signal.aborted) return;
    const hasWaited = this.hasNoData;
    if (names) this.hasNoData = !names.length;
    if (this.hasNoData) {
      this.timer = window.setTimeout(() => void this.lookForAnything(signal), FIRST_LINE_POLL_MS);
    } else if (hasWaited) {
      // The query was a guess while no label was known.
      if (this.text === this.asked) this.text = '';
      await this.run({ remember: false });
    }
  }

  // Changing what is asked.

  setQuery(text: string): void {
    this.text = text;
    void this.run();
  }

  setRange(range: Range): void {
    this.range = range;
    this.before = [];
    void this.run({ live: this.live.isOn && isRelative(range) });
  }

  zoomTo(span: Span): void {
    this.before = [...this.before, this.range];
    this.range = { fromMs: Math.floor(span.fromMs), toMs: Math.ceil(span.toMs) };
    void this.run({ live: false });
  }

  zoomBack(): void {
    const range = this.before.at(-1);
    if (!range) return;
    this.before = this.before.slice(0, -1);
    this.range = range;
    void this.run({ live: false });
  }

  zoomOut(): void {
    this.zoomTo(widened(this.span));
  }

  shift(by: 1 | -1): void {
    this.range = shifted(this.span, by);
    void this.run({ live: false });
  }

  setLimit(limit: number): void {
    this.limit = limit;
    void this.run();
  }

  flipOrder(): void {
    this.newestFirst = !this.newestFirst;
    const isWhole = !this.hasMore && this.phase === 'done';
    if (!isWhole && !this.live.isOn) return void this.run();
    this.buffer.newestFirst = this.newestFirst;
    this.remember('replace');
    this.version++;
  }

  setLevels(levels: readonly Level[]): void {
    this.levels = levels.length === LEVELS.length ? [] : levels;
    if (this.levelsOnServer) return void this.run();
    // All lines are here already: nothing to ask for.
    this.put(this.loaded);
    this.select(null);
    if (this.pickedHere && !this.live.isOn) void this.loadMore();
  }

  toggleLevel(level: Level): void {
    const shown = this.levels.length ? this.levels : LEVELS;
    this.setLevels(shown.includes(level) ? shown.filter((l) => l !== level) : [...shown, level]);
  }

  toggleErrorsOnly(): void {
    this.setLevels(this.errorsOnly ? [] : ERRORS);
  }

  isShown(level: Level): boolean {
    return !this.levels.length || this.levels.includes(level);
  }

  // Live.

  toggleLive(): void {
    if (!this.live.isOn) return void this.run({ live: true });
    this.live.stop();
    this.remember('replace');
  }

  private startLive(): void {
    this.live.start({
      query: this.pickedHere ? this.asked : withLevels(this.asked, this.levels),
      shown: this.loaded,
      nowNs: toNs(this.span.toMs),
      labelNames: () => this.labelSet,
    });
    this.refreshVolumeLater();
  }

  private refreshVolumeLater(): void {
    const wait = Math.max(VOLUME_REFRESH_MS, 10 * this.volume.tookMs);
    this.timer = window.setTimeout(() => {
      if (!this.live.isOn || this.volume.isAbsent) return;
      if (!document.hidden) {
        this.span = toSpan(this.range, Date.now());
        void this.volume.load(this.asked, this.span);
      }
      this.refreshVolumeLater();
    }, wait);
  }

  private append(rows: LogRow[]): void {
    this.hasNoData = false;
    this.loaded.push(...rows);
    this.buffer.append(this.pickedHere ? rows.filter((row) => this.isShown(row.level)) : rows);
    if (this.loaded.length > MAX_LIVE_ROWS) this.loaded.splice(0, this.loaded.length - MAX_LIVE_ROWS);
    const over = this.buffer.rows.length - MAX_LIVE_ROWS;
    if (over > 0) this.buffer.dropOldest(over);
    untrack(() => this.version++);
  }

  // Reading.

  select(row: LogRow | null): void {
    this.selected = row;
    this.remember('replace');
  }

  /** The next line in the order of the screen; with `levels`, the next one of these. */
  step(by: 1 | -1, levels: readonly Level[] = LEVELS): void {
    const { rows } = this.buffer;
    const towards = this.newestFirst ? -by : by;
    let at = this.selected ? rows.indexOf(this.selected) : towards > 0 ? -1 : rows.length;
    do at += towards;
    while (rows[at] && !levels.includes(rows[at]!.level));
    if (rows[at]) this.select(rows[at]!);
  }

  shownSegments(row: LogRow): Segment[] {
    const line = withoutColours(row.line.slice(0, MAX_SHOWN_CHARS));
    return preferences.raw ? segments(line) : readable(line, row.labels);
  }

  /** Pixels that a row will probably take. The list puts the real height in its place. */
  private estimate(row: LogRow): number {
    const height = preferences.spacing;
    if (!preferences.wrap) return height;
    const text = this.shownSegments(row)
      .map((part) => part.text)
      .join('');
    let lines = 0;
    for (const part of text.split('\n')) lines += Math.max(1, Math.ceil(widthOf(part) / this.columns));
    return lines * height;
  }
}

/** In columns of the monospaced font, where Korean and other wide characters take more than one. */
function widthOf(text: string): number {
  let width = 0;
  for (let i = 0; i < text.length; i++) width += text.charCodeAt(i) > 0x10ff ? 1.67 : 1;
  return width;
}

/** Remove one entry equal to `row` from a list; says whether there was one. */
function takeOut(rows: LogRow[], row: LogRow): boolean {
  const at = rows.findIndex((one) => isSameEntry(one, row));
  if (at >= 0) rows.splice(at, 1);
  return at >= 0;
}
