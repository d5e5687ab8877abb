/** The page as a whole: the bar, and which of form, picker and sharing view is seen below it. */
import { button, element, setText } from './dom.ts';

export type ViewName = 'form' | 'picker' | 'sharing';
export type Connection = 'joined' | 'away';

interface View {
  root: HTMLElement;
  focus: () => void;
}

export class Shell {
  readonly #views: Record<ViewName, View>;
  readonly #bar: HTMLElement;
  readonly #room = element('p', { class: 'room' });
  readonly #connection = element('p', { class: 'connection', role: 'status' });
  readonly #spoken = element('p', { class: 'spoken', role: 'status' });
  #current: ViewName | null = null;

  constructor(root: HTMLElement, views: Record<ViewName, View>, onLeave: () => void) {
    this.#views = views;
    const leave = button('Leave', { id: 'leave', class: 'plain' }, onLeave);
    this.#bar = element('header', { class: 'bar' }, this.#room, this.#connection, leave);
    const main = element('main', {}, ...Object.values(views).map((view) => view.root));
    root.append(this.#spoken, this.#bar, main);
    for (const view of Object.values(views)) view.root.hidden = true;
  }

  /** Puts a view in front; the focus follows only when it is another one, for the button that had it is gone then. */
  show(name: ViewName): void {
    if (name === this.#current) return;
    this.#current = name;
    this.#bar.hidden = name === 'form';
    for (const [each, view] of Object.entries(this.#views)) view.root.hidden = each !== name;
    this.#views[name].focus();
  }

  showRoom(room: string, connection: Connection, words: string): void {
    setText(this.#room, room);
    this.#connection.dataset['connection'] = connection;
    setText(this.#connection, words);
  }

  /** The sign of a share that nobody overlooks: the window's border and its title. */
  showSharing(on: boolean, title: string, spoken: string): void {
    document.documentElement.toggleAttribute('data-sharing', on);
    if (document.title !== title) document.title = title;
    setText(this.#spoken, spoken);
  }
}
