/** A live tail that survives: reconnects, goes on where it stopped, shows no line twice. */
import { toRows, type TailFrame } from '../api/loki';
import { compareNs, isSameEntry, type LogRow } from './row';

export type TailState = 'connecting' | 'open' | 'reconnecting';

/** The part of a WebSocket that is used, so that a test can stand in. */
export interface Socket {
  onopen: (() => void) | null;
  onmessage: ((event: { data: unknown }) => void) | null;
  onclose: ((event: { reason: string }) => void) | null;
  close(): void;
}

export interface TailOptions {
  open: (startNs: string) => Socket;
  labelNames: () => ReadonlySet<string>;
  /** The newest rows already on the screen; the tail begins behind them. */
  behind: readonly LogRow[];
  startNs: string;
  onRows: (rows: LogRow[]) => void;
  onState: (state: TailState, reason: string) => void;
  /** Lines the server left out because this reader was too slow. */
  onDropped: (count: number) => void;
  later?: (run: () => void, ms: number) => number;
}

const FIRST_RETRY_MS = 500;
const MAX_RETRY_MS = 10_000;
/** Entries of the last instant that are remembered, to recognise them when they come again. */
const MAX_EDGE = 1_000;

export class Tail {
  private socket: Socket | null = null;
  private timer = 0;
  private failures = 0;
  private isClosed = false;
  private isOpen = false;
  private edge: LogRow[]; // entries at `edgeNs`, the newest time seen
  private edgeNs: string;
  private replayed: LogRow[] = [];
  private readonly later: (run: () => void, ms: number) => number;

  constructor(private readonly options: TailOptions) {
    this.later = options.later ?? ((run, ms) => window.setTimeout(run, ms));
    this.edgeNs = options.startNs;
    this.edge = options.behind.filter((row) => row.ns === options.startNs);
    this.connect('connecting', '');
  }

  close(): void {
    this.isClosed = true;
    clearTimeout(this.timer);
    // One that is still connecting is closed when it opens: browsers complain about anything else.
    if (this.isOpen) this.socket?.close();
  }

  private connect(state: TailState, reason: string): void {
    if (this.isClosed) return;
    this.options.onState(state, reason);
    this.replayed = [...this.edge];
    const socket = this.options.open(this.edgeNs);
    this.socket = socket;
    socket.onopen = () => {
      if (this.isClosed) return socket.close();
      this.isOpen = true;
      this.failures = 0;
      this.options.onState('open', '');
    };
    socket.onmessage = (event) => this.read(String(event.data));
    socket.onclose = (event) => this.again(event.reason);
  }

  private again(reason: string): void {
    this.isOpen = false;
    if (this.isClosed) return;
    const wait = Math.min(MAX_RETRY_MS, FIRST_RETRY_MS * 2 ** this.failures++);
    this.options.onState('reconnecting', reason);
    this.timer = this.later(() => this.connect('reconnecting', reason), wait);
  }

  private read(text: string): void {
    if (this.isClosed) return;
    const frame = JSON.parse(text) as TailFrame;
    if (frame.dropped_entries?.length) this.options.onDropped(frame.dropped_entries.length);
    const rows = toRows(frame.streams ?? [], { labelNames: this.options.labelNames() });
    const fresh = rows.filter((row) => !this.wasSeen(row));
    this.remember(fresh);
    if (fresh.length) this.options.onRows(fresh);
  }

  /** Entries of the instant where the tail (re)started come again. Each is passed over once: equal lines stay two. */
  private wasSeen(row: LogRow): boolean {
    const at = this.replayed.findIndex((old) => isSameEntry(old, row));
    if (at >= 0) this.replayed.splice(at, 1);
    return at >= 0;
  }

  private remember(rows: readonly LogRow[]): void {
    for (const row of rows) {
      const order = compareNs(row.ns, this.edgeNs);
      if (order < 0) continue; // late, but new
      if (order > 0) this.edge = [];
      this.edgeNs = row.ns;
      if (this.edge.length < MAX_EDGE) this.edge.push(row);
    }
  }
}

/** Where a tail begins behind these rows; with nothing on the screen, at `nowNs`. */
export function tailStart(rows: readonly LogRow[], nowNs: string): string {
  return rows.length ? rows[rows.length - 1]!.ns : nowNs;
}
