/** Lines as they arrive: they wait in a queue and go to the screen ten times a second, or when the reader lets them. */
import { tailAddress } from '../api/loki';
import type { LogRow } from './row';
import { Tail, tailStart, type Socket, type TailState } from './tail';

const FLUSH_MS = 100;
/** Lines that wait while the reader holds; beyond it the oldest go. */
const MAX_WAITING = 10_000;
/** History that a (re)connected tail brings at most. */
const TAIL_LIMIT = 5_000;
const RATE_WINDOW_MS = 2_000;

interface Start {
  query: string;
  shown: readonly LogRow[];
  nowNs: string;
  labelNames: () => ReadonlySet<string>;
}

export class Live {
  isOn = $state(false);
  held = $state(false);
  waiting = $state(0);
  ratePerS = $state(0);
  state = $state<TailState>('connecting');
  /** Since when nothing arrived. */
  quietMs = $state(0);
  droppedThere = $state(0);
  droppedHere = $state(0);

  private tail: Tail | null = null;
  private queue: LogRow[] = [];
  private timer = 0;
  private arrivals: [number, number][] = []; // when, how many
  private lastArrival = 0;

  constructor(private readonly show: (rows: LogRow[]) => void) {}

  start({ query, shown, nowNs, labelNames }: Start): void {
    const { held } = this; // pressed while the connection was being made
    this.stop();
    this.held = held;
    this.isOn = true;
    this.state = 'connecting';
    this.lastArrival = performance.now();
    this.tail = new Tail({
      open: (startNs) => new WebSocket(tailAddress(query, startNs, TAIL_LIMIT)) as Socket,
      labelNames,
      behind: shown,
      startNs: tailStart(shown, nowNs),
      onRows: (rows) => this.arrive(rows),
      onState: (state) => (this.state = state),
      onDropped: (count) => (this.droppedThere += count),
    });
    this.timer = window.setInterval(() => this.flush(), FLUSH_MS);
  }

  stop(): void {
    this.tail?.close();
    this.tail = null;
    clearInterval(this.timer);
    this.release();
    this.isOn = this.held = false;
    this.ratePerS = this.quietMs = this.droppedThere = this.droppedHere = 0;
    this.arrivals = [];
  }

  /** Show everything that waited. */
  release(): void {
    this.held = false;
    const rows = this.queue;
    this.queue = [];
    this.waiting = 0;
    if (rows.length) this.show(rows);
  }

  private arrive(rows: LogRow[]): void {
    this.lastArrival = performance.now();
    this.arrivals.push([this.lastArrival, rows.length]);
    this.queue.push(...rows);
    const over = this.queue.length - MAX_WAITING;
    if (over <= 0) return;
    this.queue.splice(0, over);
    this.droppedHere += over;
  }

  private flush(): void {
    this.measure(performance.now());
    if (this.held) this.waiting = this.queue.length;
    else this.release();
  }

  private measure(now: number): void {
    while (this.arrivals.length && now - this.arrivals[0]![0] > RATE_WINDOW_MS) this.arrivals.shift();
    const arrived = this.arrivals.reduce((sum, [, count]) => sum + count, 0);
    this.ratePerS = Math.round((arrived * 1000) / RATE_WINDOW_MS);
    this.quietMs = Math.floor((now - this.lastArrival) / 1000) * 1000;
  }
}
