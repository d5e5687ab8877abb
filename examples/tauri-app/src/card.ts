/** One source in the picker: its picture, title, process and size. */
import type { NativeError, NativeSource, Thumbnail } from 'yc-share-controller';
import { element, setText } from './dom.ts';
import { detailOf, titleOf } from './picker-model.ts';
import { sentence } from './words.ts';

export class Card {
  /** The list's entry; the button is in it. */
  readonly root: HTMLElement;
  readonly button: HTMLButtonElement;
  readonly #title = element('span', { class: 'source-title' });
  readonly #detail = element('span', { class: 'source-detail' });
  readonly #note = element('span', { class: 'source-note' }, 'Loading the picture…');
  readonly #picture: HTMLElement;
  #image: HTMLImageElement | null = null;

  constructor(source: NativeSource, onSelect: () => void, onShare: () => void) {
    this.#picture = element('span', { class: 'source-picture' }, this.#note);
    this.button = element(
      'button',
      { type: 'button', class: 'source-card', 'data-source': source.id, 'aria-pressed': 'false' },
      this.#picture,
      this.#title,
      this.#detail,
    );
    this.root = element('li', {}, this.button);
    this.button.addEventListener('click', onSelect);
    this.button.addEventListener('dblclick', onShare);
    this.update(source);
  }

  update(source: NativeSource): void {
    const title = titleOf(source);
    setText(this.#title, title);
    this.#title.title = title;
    setText(this.#detail, detailOf(source));
  }

  set selected(selected: boolean) {
    this.button.setAttribute('aria-pressed', String(selected));
  }

  show(thumbnail: Thumbnail | null, problem: NativeError | null): void {
    if (thumbnail === null) {
      // A picture that was there stands: it says more than the reason why there is no newer one.
      if (this.#image === null) setText(this.#note, 'No picture');
      this.#note.title = problem === null ? '' : sentence(problem.message);
      return;
    }
    if (this.#image === null) {
      this.#image = element('img', { alt: '', draggable: 'false' });
      this.#picture.replaceChildren(this.#image);
    }
    this.#image.src = thumbnail.url;
  }
}
