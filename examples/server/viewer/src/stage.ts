/** The shares: one fills the window, several stand in a grid, and one of several can be made big. */
import { element } from './dom.ts';
import { gridColumns } from './layout.ts';
import type { Share } from './room.ts';
import { Tile } from './tile.ts';

export class Stage {
  readonly root = element('main', { class: 'stage', 'aria-label': 'Shares' });
  readonly #tiles = new Map<string, Tile>();
  readonly #numbers = new Map<string, number>();
  #big: string | null = null;

  constructor() {
    new ResizeObserver(() => this.#arrange()).observe(this.root);
  }

  tile(producerId: string): Tile | null {
    return this.#tiles.get(producerId) ?? null;
  }

  /** The name of a share, for as long as it lasts. */
  nameOf(producerId: string): string {
    return `Share ${this.#numbers.get(producerId) ?? '?'}`;
  }

  update(shares: readonly Share[]): void {
    const ids = new Set(shares.map((share) => share.producerId));
    for (const [id, tile] of this.#tiles) {
      if (ids.has(id)) continue;
      tile.remove();
      this.#tiles.delete(id);
      this.#numbers.delete(id);
    }
    for (const share of shares) {
      const tile = this.#tiles.get(share.producerId) ?? this.#make(share.producerId);
      tile.update(share, this.nameOf(share.producerId));
    }
    this.#arrange();
  }

  /** Back from one big share to the grid; whether there was one. */
  showAll(): boolean {
    const was = this.#big !== null;
    this.#big = null;
    this.#arrange();
    return was;
  }

  #make(id: string): Tile {
    const tile = new Tile();
    const taken = new Set(this.#numbers.values());
    let number = 1;
    while (taken.has(number)) number += 1;
    this.#numbers.set(id, number);
    this.#tiles.set(id, tile);
    tile.zoom.addEventListener('click', () => {
      this.#big = this.#big === id ? null : id;
      this.#arrange();
    });
    this.root.append(tile.root);
    return tile;
  }

  #arrange(): void {
    const count = this.#tiles.size;
    if (this.#big !== null && (count < 2 || !this.#tiles.has(this.#big))) this.#big = null;
    const layout = count <= 1 ? 'one' : this.#big === null ? 'grid' : 'spotlight';
    const columns = layout === 'grid' ? gridColumns(count, this.root.clientWidth, this.root.clientHeight) : count - 1;
    this.root.dataset['layout'] = layout;
    this.root.style.setProperty('--columns', String(Math.max(1, columns)));
    for (const [id, tile] of this.#tiles) {
      const big = id === this.#big;
      tile.root.classList.toggle('big', big);
      tile.zoom.disabled = layout === 'one';
      tile.zoom.setAttribute('aria-label', `Show ${this.nameOf(id)} ${big ? 'among the others' : 'big'}`);
      tile.zoom.setAttribute('aria-pressed', String(big));
    }
  }
}
