/** One graph on a canvas: some lines over the last 120 s. */
import { element, setText } from '../dom.ts';
import { type Point, highestOf, linesOf, niceTop } from './scale.ts';

export interface GraphOptions {
  title: string;
  unit: string;
  /** The top of the scale at the least. */
  atLeast: number;
  /** One name for each line. */
  lines: readonly string[];
}

export const SPAN_MS = 120_000;

export class Graph {
  readonly root: HTMLElement;
  readonly #options: GraphOptions;
  readonly #canvas = element('canvas', { role: 'img' });
  /** One for each line, in its colour. */
  readonly #values: HTMLElement[];

  constructor(options: GraphOptions) {
    this.#options = options;
    this.#values = options.lines.map((_, at) => element('span', { class: `graph-line-${at}` }));
    const values = element('span', { class: 'graph-values' }, ...this.#values, ...(options.unit === '' ? [] : [options.unit]));
    const caption = element('figcaption', {}, element('span', {}, options.title), values);
    this.root = element('figure', { class: 'graph' }, caption, this.#canvas);
  }

  draw(series: readonly (readonly Point[])[], now: number): void {
    const { title, unit, atLeast, lines } = this.#options;
    const top = niceTop(highestOf(...series), atLeast);
    const last = series.map((points) => points.at(-1)?.value ?? null);
    const values = last.map((value, at) => {
      const shown = value === null ? '–' : value.toFixed(value < 10 && !Number.isInteger(value) ? 1 : 0);
      return lines.length > 1 ? `${lines[at]} ${shown}` : shown;
    });
    const words = `${values.join(', ')}${unit === '' ? '' : ` ${unit}`}`;
    this.#values.forEach((shown, at) => setText(shown, values[at]!));
    this.#canvas.setAttribute('aria-label', `${title} over the last two minutes; now ${words}, scale to ${top}`);

    const density = globalThis.devicePixelRatio || 1;
    const width = this.#canvas.clientWidth;
    const height = this.#canvas.clientHeight;
    if (width === 0 || height === 0) return;
    this.#canvas.width = Math.round(width * density);
    this.#canvas.height = Math.round(height * density);
    const context = this.#canvas.getContext('2d');
    if (context === null) return;
    context.scale(density, density);
    // Computed colours: a canvas does not know `light-dark()`.
    const style = getComputedStyle(this.#canvas);

    context.strokeStyle = style.borderTopColor;
    context.lineWidth = 1;
    for (const y of [0.5, Math.round(height / 2) + 0.5, height - 0.5]) {
      context.beginPath();
      context.moveTo(0, y);
      context.lineTo(width, y);
      context.stroke();
    }
    context.fillStyle = style.color;
    context.font = '10px system-ui, sans-serif';
    context.fillText(String(top), 3, 11);

    // Half a line's width stays free, so that 0 and the top are seen whole.
    const box = { width, height: height - 4 };
    series.forEach((points, at) => {
      context.strokeStyle = getComputedStyle(this.#values[at]!).color;
      context.lineWidth = 1.5;
      for (const line of linesOf(points, box, now, SPAN_MS, top)) {
        context.beginPath();
        line.forEach(([x, y], index) => (index === 0 ? context.moveTo(x, y + 2) : context.lineTo(x, y + 2)));
        // A single point is a line of no length: it would not be seen.
        if (line.length === 1) context.lineTo(line[0]![0] + 1, line[0]![1] + 2);
        context.stroke();
      }
    });
  }
}
