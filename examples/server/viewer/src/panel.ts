/** The statistics panel: a table for each share, and one for what this page sends. */
import { element, setText } from './dom.ts';

export interface Section {
  key: string;
  title: string;
  rows: [label: string, value: string][];
}

export class Panel {
  readonly root: HTMLElement;
  readonly #body = element('div', { class: 'panel-body' });
  readonly #sections = new Map<string, HTMLTableElement>();
  readonly #empty = element('p', { class: 'panel-empty' }, 'Nothing is received.');

  constructor(onClose: () => void) {
    const close = element('button', { type: 'button', class: 'quiet-button', 'aria-label': 'Close the statistics' }, '✕');
    close.addEventListener('click', onClose);
    const head = element('div', { class: 'panel-head' }, element('h2', {}, 'Statistics'), close);
    this.root = element('aside', { class: 'panel', id: 'statistics', 'aria-label': 'Statistics' }, head, this.#body);
    this.root.hidden = true;
    this.#body.tabIndex = 0;
    this.#body.append(this.#empty);
  }

  get open(): boolean {
    return !this.root.hidden;
  }

  set open(open: boolean) {
    this.root.hidden = !open;
  }

  update(sections: Section[]): void {
    this.#empty.hidden = sections.length > 0;
    const keys = new Set(sections.map(({ key }) => key));
    for (const [key, table] of this.#sections) {
      if (keys.has(key)) continue;
      table.remove();
      this.#sections.delete(key);
    }
    for (const { key, title, rows } of sections) {
      let table = this.#sections.get(key);
      if (table === undefined) {
        table = element('table', {}, element('caption'), element('tbody'));
        this.#sections.set(key, table);
        this.#body.append(table);
      }
      setText(table.caption!, title);
      fill(table.tBodies[0]!, rows);
    }
  }
}

/** Writes the rows in place: a selection in the table survives the next second. */
function fill(body: HTMLTableSectionElement, rows: [string, string][]): void {
  while (body.rows.length > rows.length) body.deleteRow(-1);
  rows.forEach(([label, value], index) => {
    let row = body.rows[index];
    if (row === undefined) {
      row = element('tr', {}, element('th', { scope: 'row' }), element('td'));
      body.append(row);
    }
    setText(row.cells[0]!, label);
    setText(row.cells[1]!, value);
  });
}
