/** The debug panel: graphs of the last two minutes, the sender's figures, and what happened. */
import type { HistorySample, NativeStatus } from 'yc-share-controller';
import { button, element, setText } from '../dom.ts';
import type { EventLog } from './event-log.ts';
import { figuresOf, statusForCopy } from './figures.ts';
import { Graph, SPAN_MS } from './graph.ts';
import type { Point } from './scale.ts';

export interface DebugSources {
  hostKind: string | null;
  samples: () => readonly HistorySample[];
  status: () => NativeStatus | null;
  /** What else to copy: states and codes of the page. */
  page: () => Record<string, unknown>;
  log: EventLog;
}

export class DebugPanel {
  readonly root: HTMLDetailsElement;
  readonly #sources: DebugSources;
  readonly #fps = new Graph({ title: 'Frame rate', unit: 'fps', atLeast: 30, lines: ['fps'] });
  readonly #bitrate = new Graph({ title: 'Bitrate', unit: 'kbit/s', atLeast: 500, lines: ['kbit/s'] });
  readonly #latency = new Graph({ title: 'Latency', unit: 'ms', atLeast: 20, lines: ['p50', 'p95'] });
  readonly #level = new Graph({ title: 'Degradation', unit: '', atLeast: 3, lines: ['level'] });
  readonly #figures = element('tbody');
  readonly #events = element('tbody');
  readonly #copied = element('span', { class: 'hint', role: 'status' });
  #listed = 0;

  constructor(sources: DebugSources) {
    this.#sources = sources;
    const copy = button('Copy as JSON', { id: 'debug-copy' }, () => void this.#copy());
    this.root = element(
      'details',
      { id: 'debug-panel', class: 'debug', open: '' },
      element('summary', {}, 'Debug'),
      element('div', { class: 'graphs' }, this.#fps.root, this.#bitrate.root, this.#latency.root, this.#level.root),
      element('div', { class: 'debug-actions' }, copy, this.#copied),
      element('table', { class: 'figures' }, element('caption', {}, 'Native sender'), this.#figures),
      element('table', { class: 'events' }, element('caption', {}, 'Events, newest first'), this.#events),
    );
    this.root.addEventListener('toggle', () => this.update());
  }

  /** Call it about once a second. */
  update(): void {
    if (!this.root.open) return;
    const now = Date.now();
    const samples = this.#sources.samples();
    const points = (value: (sample: HistorySample) => number | null): Point[] => samples.map((sample) => ({ at: sample.at, value: value(sample) }));
    this.#fps.draw([points(({ fps }) => fps)], now);
    this.#bitrate.draw([points(({ bitrateKbps }) => bitrateKbps)], now);
    this.#latency.draw([points(({ latencyP50Ms }) => latencyP50Ms), points(({ latencyP95Ms }) => latencyP95Ms)], now);
    this.#level.draw([points(({ level }) => level)], now);
    this.#fill(figuresOf(this.#sources.status(), this.#sources.hostKind));
    this.#list();
  }

  /** Writes the rows in place: a selection in the table survives the next second. */
  #fill(rows: [string, string][]): void {
    while (this.#figures.rows.length > rows.length) this.#figures.deleteRow(-1);
    rows.forEach(([label, value], index) => {
      let row = this.#figures.rows[index];
      if (row === undefined) {
        row = element('tr', {}, element('th', { scope: 'row' }), element('td'));
        this.#figures.append(row);
      }
      setText(row.cells[0]!, label);
      setText(row.cells[1]!, value);
    });
  }

  #list(): void {
    const { rows, total } = this.#sources.log;
    if (total === this.#listed) return;
    this.#listed = total;
    this.#events.replaceChildren(
      ...rows.toReversed().map(({ at, name, code, note }) =>
        element('tr', {}, element('td', {}, timeOfDay(at)), element('td', {}, name), element('td', {}, code), element('td', {}, note)),
      ),
    );
  }

  async #copy(): Promise<void> {
    const { samples, status, page, log, hostKind } = this.#sources;
    const report = {
      at: new Date().toISOString(),
      span_ms: SPAN_MS,
      native_host: hostKind,
      ...page(),
      status: statusForCopy(status()),
      samples: samples(),
      events: log.rows,
    };
    try {
      await navigator.clipboard.writeText(JSON.stringify(report, null, 2));
      setText(this.#copied, 'Copied.');
    } catch (error) {
      setText(this.#copied, `It could not be copied: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
}

/** `hh:mm:ss.mmm`, local time. */
function timeOfDay(at: number): string {
  const date = new Date(at);
  const two = (value: number): string => String(value).padStart(2, '0');
  const ms = String(date.getMilliseconds()).padStart(3, '0');
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${ms}`;
}
