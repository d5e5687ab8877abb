/** What may be shared, with live pictures; and what is said when there is nothing, or no more. */
import type { NativeSender, NativeSource } from 'yc-share-controller';
import { Card } from './card.ts';
import { button, element, setNote, setText } from './dom.ts';
import { LiveSources } from './live-sources.ts';
import { sectionsOf, selectionIn } from './picker-model.ts';
import { problemWords } from './words.ts';

export interface PickerCommands {
  /** `null`: the browser asks what to share. */
  share: (source: NativeSource | null) => void;
}

export interface PickerShown {
  /** Said above everything, for example how the last share ended. */
  notice: string | null;
  /** Why nothing can be shared now; `null` if something can. */
  barred: string | null;
  /** What else to know, for example that the native path has to wait. */
  hint: string | null;
}

export class Picker {
  readonly root: HTMLElement;
  readonly #native: NativeSender | null;
  readonly #commands: PickerCommands;
  readonly #live: LiveSources | null;
  readonly #cards = new Map<string, Card>();
  readonly #inView = new Set<string>();
  readonly #observer: IntersectionObserver;
  readonly #title = element('h1', { id: 'picker-title', tabindex: '-1' });
  readonly #notice = element('p', { class: 'notice', id: 'notice', role: 'status' });
  readonly #problem = element('p', { class: 'alert', id: 'picker-problem', role: 'alert' });
  readonly #hint = element('p', { class: 'hint' });
  readonly #lists = element('div', { class: 'source-lists' });
  readonly #retry: HTMLButtonElement;
  readonly #share: HTMLButtonElement;
  readonly #byBrowser: HTMLButtonElement;
  #sources: readonly NativeSource[] = [];
  #selected: string | null = null;
  #barred: string | null = null;
  #shown = false;

  constructor(native: NativeSender | null, browserThere: boolean, commands: PickerCommands) {
    this.#native = native;
    this.#commands = commands;
    this.#retry = button('Try again', { id: 'picker-retry' }, () => this.#live?.retry());
    this.#share = button(native === null ? 'Share a screen…' : 'Share', { id: 'share', class: 'primary' }, () => this.#shareSelected());
    this.#byBrowser = button('Share from the browser instead…', { id: 'share-browser', class: 'plain' }, () => commands.share(null));
    this.#byBrowser.hidden = native === null || !browserThere;
    this.root = element(
      'section',
      { class: 'picker', 'aria-labelledby': 'picker-title' },
      this.#notice,
      this.#title,
      element('div', { class: 'problem-row' }, this.#problem, this.#retry),
      this.#lists,
      element('footer', { class: 'picker-footer' }, this.#share, this.#byBrowser, this.#hint),
    );
    setText(this.#title, native === null ? 'Ready to share' : 'What do you want to share?');
    setNote(this.#notice, null);
    setNote(this.#problem, null);
    this.#retry.hidden = true;
    this.#observer = new IntersectionObserver((entries) => {
      for (const { target, isIntersecting } of entries) {
        const id = (target as HTMLElement).dataset['source']!;
        if (isIntersecting) this.#inView.add(id);
        else this.#inView.delete(id);
      }
    });
    this.#live = native && new LiveSources({
      native,
      wanted: () => this.#sources.map(({ id }) => id).filter((id) => this.#inView.has(id)),
      onSources: (sources) => {
        this.#showSources(sources);
        this.#showProblem(sources.length > 0 ? null : NOTHING_THERE);
      },
      onThumbnail: (source, thumbnail, problem) => this.#cards.get(source)?.show(thumbnail, problem),
      onProblem: (problem) => {
        if (problem === null) return;
        this.#showSources([]);
        this.#showProblem(problemWords(problem));
      },
    });
    document.addEventListener('visibilitychange', () => this.#followVisibility());
    this.#refresh();
  }

  get visible(): boolean {
    return this.#shown;
  }

  /** While it is hidden, nothing is captured for it. */
  set visible(visible: boolean) {
    if (visible !== this.#shown) {
      this.root.hidden = !visible;
      this.#shown = visible;
    }
    this.#followVisibility();
  }

  show({ notice, barred, hint }: PickerShown): void {
    setNote(this.#notice, notice);
    setText(this.#hint, barred ?? hint ?? '');
    this.#barred = barred;
    this.#refresh();
  }

  focus(): void {
    this.#title.focus();
  }

  #followVisibility(): void {
    if (this.#shown && document.visibilityState === 'visible') this.#live?.start();
    else this.#live?.stop();
  }

  #showSources(sources: readonly NativeSource[]): void {
    const sections = sectionsOf(sources);
    this.#sources = sections.flatMap((section) => section.sources);
    this.#selected = selectionIn(this.#sources, this.#selected);
    const present = new Set(this.#sources.map(({ id }) => id));
    for (const [id, card] of this.#cards) {
      if (present.has(id)) continue;
      this.#observer.unobserve(card.button);
      this.#inView.delete(id);
      card.root.remove();
      this.#cards.delete(id);
    }
    for (const { title, sources: listed } of sections) this.#fill(title, listed.map((source) => this.#cardFor(source)));
    for (const section of [...this.#lists.children] as HTMLElement[]) {
      section.hidden = !sections.some(({ title }) => title === section.dataset['title']);
    }
    this.#refresh();
  }

  #cardFor(source: NativeSource): Card {
    const known = this.#cards.get(source.id);
    if (known !== undefined) {
      known.update(source);
      return known;
    }
    const { id } = source;
    const card = new Card(source, () => this.#select(id), () => this.#shareSelected());
    this.#cards.set(id, card);
    this.#observer.observe(card.button);
    return card;
  }

  /** Puts the cards into their section in order, and moves only those that stand elsewhere: the focus stays where it is. */
  #fill(title: string, cards: Card[]): void {
    let section = ([...this.#lists.children] as HTMLElement[]).find((each) => each.dataset['title'] === title);
    if (section === undefined) {
      const id = `sources-${title.toLowerCase().replace(/\W+/g, '-')}`;
      const list = element('ul', { class: 'source-list', role: 'list' });
      section = element('section', { 'data-title': title, 'aria-labelledby': id }, element('h2', { id }, title), list);
      this.#lists.append(section);
    }
    const list = section.querySelector('ul')!;
    cards.forEach((card, at) => {
      if (list.children[at] !== card.root) list.insertBefore(card.root, list.children[at] ?? null);
    });
  }

  #select(id: string): void {
    this.#selected = id;
    this.#refresh();
  }

  #shareSelected(): void {
    if (this.#share.disabled) return;
    if (this.#native === null) {
      this.#commands.share(null);
      return;
    }
    const source = this.#sources.find(({ id }) => id === this.#selected);
    if (source !== undefined) this.#commands.share(source);
  }

  #showProblem(words: string | null): void {
    setNote(this.#problem, words);
    this.#retry.hidden = words === null;
  }

  #refresh(): void {
    for (const [id, card] of this.#cards) card.selected = id === this.#selected;
    this.#share.disabled = this.#barred !== null || (this.#native !== null && this.#selected === null);
    this.#byBrowser.disabled = this.#barred !== null;
  }
}

const NOTHING_THERE = 'There is no screen and no window that this app may capture.';
