/** The page as a whole: stage, bar, messages, panel and form, and the keys that work on them. */
import { element, setText } from './dom.ts';
import { JoinForm } from './form.ts';
import { Panel } from './panel.ts';
import type { Share } from './room.ts';
import type { ShareState } from './share.ts';
import { Stage } from './stage.ts';
import type { Words } from './words.ts';

export interface Commands {
  join: (room: string, token: string) => void;
  /** Asks for room and token again. */
  askAgain: () => void;
  retry: () => void;
  startSharing: () => void;
  stopSharing: () => void;
  toggleStatistics: () => void;
}

export class View {
  readonly stage = new Stage();
  readonly panel: Panel;
  readonly form: JoinForm;

  readonly #commands: Commands;
  readonly #room = element('h1', { class: 'room' });
  readonly #chip = element('p', { class: 'chip' });
  readonly #share = button('Share this screen', { class: 'primary' });
  readonly #shareNote = element('p', { class: 'toast', role: 'alert' });
  readonly #statistics = button('Statistics', { 'aria-expanded': 'false', 'aria-controls': 'statistics', 'aria-keyshortcuts': 's', title: 'Statistics (s)' });
  readonly #fullscreen = button('Full screen', { 'aria-keyshortcuts': 'f', title: 'Full screen (f)' });
  readonly #bar: HTMLElement;
  readonly #title = element('h2', {});
  readonly #detail = element('p', { class: 'detail' });
  readonly #act = button('', { class: 'primary' });
  /** The same in one sentence for screen readers, which announce changes only of what is always there. */
  readonly #spoken = element('p', { class: 'spoken', role: 'status' });
  readonly #spinner = element('span', { class: 'spinner', 'aria-hidden': 'true' });
  readonly #message: HTMLElement;
  #action: Words['action'] = null;
  #idleTimer: ReturnType<typeof setTimeout> | undefined;

  constructor(root: HTMLElement, commands: Commands) {
    this.#commands = commands;
    this.panel = new Panel(() => {
      commands.toggleStatistics();
      this.#statistics.focus();
    });
    this.form = new JoinForm(commands.join);

    this.#message = element('section', { class: 'card message' }, this.#spinner, this.#title, this.#detail, this.#act);
    const name = element('div', { class: 'bar-name' }, this.#room, this.#chip);
    const buttons = element('div', { class: 'bar-buttons' }, this.#share, this.#statistics, this.#fullscreen);
    this.#bar = element('header', { class: 'bar' }, name, buttons);
    root.append(this.#spoken, this.#bar, this.stage.root, this.#message, this.form.root, this.panel.root, this.#shareNote);

    this.#fullscreen.hidden = !document.fullscreenEnabled;
    this.#shareNote.hidden = true;
    this.#share.addEventListener('click', () => this.#toggleShare());
    this.#statistics.addEventListener('click', commands.toggleStatistics);
    this.#fullscreen.addEventListener('click', toggleFullscreen);
    this.#act.addEventListener('click', () => (this.#action === 'join' ? commands.askAgain() : commands.retry()));
    document.addEventListener('fullscreenchange', () => {
      setText(this.#fullscreen, document.fullscreenElement ? 'Leave full screen' : 'Full screen');
    });
    document.addEventListener('keydown', (event) => this.#handleKey(event));
    for (const sign of ['pointermove', 'pointerdown', 'keydown', 'focusin']) {
      document.addEventListener(sign, () => this.#wake(), { passive: true });
    }
    this.#wake();
  }

  /** Shows the form instead of a room. */
  showForm(room: string, token: string): void {
    this.#bar.hidden = this.#message.hidden = this.#shareNote.hidden = true;
    this.statisticsOpen = false;
    setText(this.#spoken, '');
    this.stage.update([]);
    document.title = 'Screen share';
    this.form.show(room, token);
  }

  showRoom(room: string, words: Words, shares: readonly Share[], own: ShareState, mayShare: boolean): void {
    this.form.hide();
    this.#bar.hidden = false;
    setText(this.#room, room);
    setText(this.#chip, words.short);
    document.title = `${words.short} – ${room}`;
    setText(this.#spoken, words.title === null ? words.short : `${words.title} ${words.detail}`);
    document.documentElement.dataset['tone'] = words.tone;
    document.documentElement.toggleAttribute('data-picture', words.title === null);
    this.stage.update(shares);

    this.#message.hidden = words.title === null;
    setText(this.#title, words.title ?? '');
    setText(this.#detail, words.detail);
    this.#spinner.hidden = words.tone !== 'busy';
    this.#action = words.action;
    this.#act.hidden = words.action === null;
    setText(this.#act, words.action === 'join' ? 'Enter another token' : 'Try now');
    this.#showShare(own, mayShare);
  }

  set statisticsOpen(open: boolean) {
    this.panel.open = open;
    this.#statistics.setAttribute('aria-expanded', String(open));
  }

  #showShare(own: ShareState, mayShare: boolean): void {
    const on = own.name === 'sharing' || own.name === 'starting';
    this.#share.hidden = !mayShare && !on;
    this.#share.disabled = own.name === 'asking';
    this.#share.classList.toggle('stop', on);
    setText(this.#share, on ? 'Stop sharing' : own.name === 'asking' ? 'Choose a screen…' : 'Share this screen');
    this.#shareNote.hidden = own.name !== 'failed';
    setText(this.#shareNote, own.name === 'failed' ? `Sharing failed: ${own.message}` : '');
  }

  #toggleShare(): void {
    if (this.#share.classList.contains('stop')) this.#commands.stopSharing();
    else this.#commands.startSharing();
  }

  #handleKey(event: KeyboardEvent): void {
    const typing = event.target instanceof HTMLInputElement;
    if (typing || this.#bar.hidden || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    if (event.key === 's') this.#commands.toggleStatistics();
    else if (event.key === 'f' && !this.#fullscreen.hidden) toggleFullscreen();
    else if (event.key === 'Escape') this.stage.showAll();
  }

  /** Shows the bar, and hides it with the pointer when nothing has moved for a while. */
  #wake(): void {
    clearTimeout(this.#idleTimer);
    document.documentElement.removeAttribute('data-idle');
    this.#idleTimer = setTimeout(() => document.documentElement.setAttribute('data-idle', ''), IDLE_MS);
  }
}

function button(label: string, attributes: Record<string, string> = {}): HTMLButtonElement {
  return element('button', { type: 'button', ...attributes }, label);
}

function toggleFullscreen(): void {
  const done = document.fullscreenElement ? document.exitFullscreen() : document.documentElement.requestFullscreen();
  done.catch((error: unknown) => console.warn('full screen was refused:', error));
}

const IDLE_MS = 3_000;
