/** Heights of rows, addressed by an ever-growing place: append at the end, trim at the front.
 *
 * Blocks keep a running sum, so every operation touches at most rows / BLOCK + BLOCK numbers.
 */
const BLOCK = 128;

interface Block {
  heights: Float64Array;
  count: number;
  sum: number;
}

export class Heights {
  private blocks: Block[] = [];
  private base = 0; // place of the first slot of blocks[0]
  first = 0; // first live place
  end = 0; // one past the last place
  total = 0;

  get length(): number {
    return this.end - this.first;
  }

  push(height: number): void {
    const slot = (this.end - this.base) % BLOCK;
    if (slot === 0) this.blocks.push({ heights: new Float64Array(BLOCK), count: 0, sum: 0 });
    const block = this.blocks[this.blocks.length - 1]!;
    block.heights[slot] = height;
    block.count++;
    block.sum += height;
    this.total += height;
    this.end++;
  }

  /** Forget the first `count` rows; returns the pixels they took. */
  trim(count: number): number {
    let removed = 0;
    for (let i = 0; i < count && this.first < this.end; i++) removed -= this.set(this.first++, 0);
    while (this.blocks.length && this.first - this.base >= BLOCK) {
      this.blocks.shift();
      this.base += BLOCK;
    }
    return removed;
  }

  /** Returns by how much the total grew. */
  set(place: number, height: number): number {
    const slot = place - this.base;
    const block = this.blocks[Math.floor(slot / BLOCK)];
    if (!block) return 0;
    const grown = height - block.heights[slot % BLOCK]!;
    if (grown) {
      block.heights[slot % BLOCK] = height;
      block.sum += grown;
      this.total += grown;
    }
    return grown;
  }

  get(place: number): number {
    const slot = place - this.base;
    return this.blocks[Math.floor(slot / BLOCK)]?.heights[slot % BLOCK] ?? 0;
  }

  /** Pixels above the row at `place`. */
  offset(place: number): number {
    const slot = Math.max(0, place - this.base);
    const last = Math.floor(slot / BLOCK);
    let y = 0;
    for (let i = 0; i < last && i < this.blocks.length; i++) y += this.blocks[i]!.sum;
    const block = this.blocks[last];
    if (block) for (let i = 0; i < slot % BLOCK; i++) y += block.heights[i]!;
    return y;
  }

  /** The place of the row that covers pixel `y`; the nearest one beyond the ends. */
  at(y: number): number {
    let k = 0;
    while (k < this.blocks.length - 1 && y >= this.blocks[k]!.sum) y -= this.blocks[k++]!.sum;
    const block = this.blocks[k];
    let i = 0;
    if (block) while (i < block.count - 1 && y >= block.heights[i]!) y -= block.heights[i++]!;
    return Math.min(Math.max(this.base + k * BLOCK + i, this.first), Math.max(this.first, this.end - 1));
  }

  /** Forget every row. The next one gets the place `next`: places already given away must not come again. */
  clear(next = this.end): void {
    this.blocks = [];
    this.base = this.first = this.end = next;
    this.total = 0;
  }
}
