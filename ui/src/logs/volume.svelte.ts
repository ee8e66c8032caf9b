/** How many lines there are over time. A request and an error of its own: what fails here never hides a line. */
import { Problem } from '../api/http';
import { fetchHistogram, totals, type Histogram } from '../api/sillok';
import { stepMs, type Span } from '../state/range';
import type { LevelCounts } from './levels';

/** About as many bars as can be told apart. */
const MAX_BARS = 120;

export class Volume {
  histogram = $state.raw<Histogram | null>(null);
  problem = $state.raw<Problem | null>(null);
  isWaiting = $state(false);
  /** What the last answer took: a slow one is not asked for again and again. */
  tookMs = 0;

  readonly counts: LevelCounts = $derived(this.histogram ? totals(this.histogram) : {});
  readonly total = $derived(Object.values(this.counts).reduce((a, b) => a + b, 0));
  /** A server that is not Sillok has no such path. */
  readonly isAbsent = $derived(this.problem?.status === 404);

  private asking: AbortController | null = null;

  async load(query: string, span: Span): Promise<void> {
    this.asking?.abort();
    const asking = (this.asking = new AbortController());
    this.isWaiting = true;
    const began = performance.now();
    try {
      this.histogram = await fetchHistogram(query, span, stepMs(span, MAX_BARS), asking.signal);
      this.problem = null;
    } catch (error) {
      if (asking.signal.aborted) return;
      this.histogram = null;
      this.problem = error instanceof Problem ? error : new Problem('unreadable', '');
    }
    this.tookMs = performance.now() - began;
    this.isWaiting = false;
  }

  stop(): void {
    this.asking?.abort();
    this.isWaiting = false;
  }

  clear(): void {
    this.stop();
    this.histogram = null;
    this.problem = null;
  }
}
