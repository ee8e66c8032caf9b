import { Heights } from './heights';
import type { LogRow } from './row';

/** The rows in sight: `rows[i]` sits at `place + i * step`, `top` pixels below the start of the list. */
export interface Window {
  rows: LogRow[];
  place: number;
  step: 1 | -1;
  top: number;
  total: number;
}

/** A bounded list of rows, oldest first, and the pixel window over it in either order. */
export class RowBuffer {
  rows: LogRow[] = []; // rows[i] has the place heights.first + i
  heights = new Heights();
  dropped = 0;

  constructor(
    private readonly maxRows: number,
    private readonly estimate: (row: LogRow) => number,
    public newestFirst = true,
  ) {}

  /** Add rows at the newest end; the oldest go when there are too many. */
  append(batch: readonly LogRow[]): void {
    for (const row of batch) {
      this.rows.push(row);
      this.heights.push(this.estimate(row));
    }
    const over = this.rows.length - this.maxRows;
    if (over > 0) this.dropOldest(over);
  }

  dropOldest(count: number): void {
    this.heights.trim(count);
    this.rows.splice(0, count);
    this.dropped += count;
  }

  replace(rows: readonly LogRow[]): void {
    this.rows = [];
    this.heights.clear();
    this.dropped = 0;
    this.append(rows);
  }

  /** Estimate every height anew, for example because the list got wider. */
  measureAgain(): void {
    const { heights, rows, estimate } = this;
    heights.clear(heights.first); // the rows keep their places
    for (const row of rows) heights.push(estimate(row));
  }

  window(scrollTop: number, height: number, overscan: number): Window {
    const { heights: h, rows } = this;
    if (!h.length) return { rows: [], place: h.first, step: 1, top: 0, total: 0 };
    const above = Math.max(0, scrollTop - overscan);
    const below = Math.min(h.total, scrollTop + height + overscan);
    if (!this.newestFirst) {
      const from = h.at(above);
      const to = h.at(Math.max(0, below - 0.01));
      const seen = rows.slice(from - h.first, to - h.first + 1);
      return { rows: seen, place: from, step: 1, top: h.offset(from), total: h.total };
    }
    const from = h.at(Math.max(0, h.total - above - 0.01));
    const to = h.at(Math.max(0, h.total - below));
    const seen = rows.slice(to - h.first, from - h.first + 1).reverse();
    return { rows: seen, place: from, step: -1, top: h.total - h.offset(from + 1), total: h.total };
  }

  /** Pixels above a row, in the order of the screen. */
  topOf(place: number): number {
    const h = this.heights;
    return this.newestFirst ? h.total - h.offset(place + 1) : h.offset(place);
  }

  /** The place of the row under a pixel, in the order of the screen. */
  placeAt(y: number): number {
    const h = this.heights;
    return h.at(this.newestFirst ? Math.max(0, h.total - y - 0.01) : y);
  }

  /** -1 when the row is gone. */
  placeOf(row: LogRow): number {
    const index = this.rows.lastIndexOf(row);
    return index < 0 ? -1 : this.heights.first + index;
  }
}
