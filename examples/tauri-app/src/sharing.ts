/** What is shown while something is shared, or about to be: that it is so, to whom, by which path and how well. */
import type { ShareState } from 'yc-share-controller';
import type { Watcher } from 'yc-signalling';
import { button, element, setNote, setText } from './dom.ts';
import { elapsed } from './time.ts';
import { type Path, type SharingWords, degradationWords, nativeAgainWords, pathWords, watcherName, watcherWords } from './words.ts';

export interface SharingCommands {
  stop: () => void;
  continueInBrowser: () => void;
  goNative: () => void;
  retry: () => void;
}

export interface SharingShown {
  state: ShareState;
  words: SharingWords;
  path: Path | null;
  /** When the share first stood, in Unix milliseconds; `null` before. */
  since: number | null;
  watchers: readonly Watcher[];
  /** Code of the fall back that led to the path in use; `null` if none did. */
  fallbackReason: string | null;
  degradation: { level: number; cause: string | null } | null;
  /** Whether there is a native path to go back to. */
  nativeThere: boolean;
  nativeAvailableAt: number | null;
  /** Why a retry is not possible now; `null` if it is. */
  barred: string | null;
}

export class SharingView {
  readonly root: HTMLElement;
  readonly #dot = element('span', { class: 'live-dot', 'aria-hidden': 'true' });
  readonly #title = element('h1', { id: 'sharing-title', tabindex: '-1' });
  readonly #elapsed = element('span', { class: 'elapsed', role: 'timer', 'aria-label': 'Elapsed time' });
  readonly #detail = element('p', { class: 'detail' });
  readonly #problem = element('p', { class: 'alert', id: 'sharing-problem', role: 'alert' });
  readonly #continue: HTMLButtonElement;
  readonly #retry: HTMLButtonElement;
  readonly #stop: HTMLButtonElement;
  readonly #facts = element('dl', { class: 'facts' });
  readonly #watchers = element('dd', { id: 'watchers', role: 'status' });
  readonly #watcherList = element('ul', { class: 'names', role: 'list' });
  readonly #watcherCount = element('p', {});
  readonly #path = element('dd', { id: 'path' });
  readonly #quality = element('dd', { id: 'quality' });
  readonly #qualityRow: HTMLElement;
  readonly #again: HTMLElement;
  readonly #goNative: HTMLButtonElement;
  readonly #againNote = element('span', { class: 'hint', id: 'go-native-note' });

  constructor(commands: SharingCommands) {
    this.#continue = button('Continue in the browser', { id: 'continue', class: 'primary big' }, commands.continueInBrowser);
    this.#retry = button('Try again', { id: 'retry', class: 'primary' }, commands.retry);
    this.#stop = button('Stop sharing', { id: 'stop', class: 'danger' }, commands.stop);
    this.#goNative = button('Go back to native', { id: 'go-native', 'aria-describedby': 'go-native-note' }, commands.goNative);
    this.#watchers.append(this.#watcherCount, this.#watcherList);
    this.#qualityRow = row('Quality', this.#quality);
    this.#facts.append(row('Watching', this.#watchers), row('Path', this.#path), this.#qualityRow);
    this.#again = element('div', { class: 'again' }, this.#goNative, this.#againNote);
    this.root = element(
      'section',
      { class: 'card sharing', 'aria-labelledby': 'sharing-title' },
      element('header', {}, this.#dot, this.#title, this.#elapsed),
      this.#detail,
      this.#problem,
      this.#facts,
      this.#again,
      element('div', { class: 'actions' }, this.#continue, this.#retry, this.#stop),
    );
  }

  show(shown: SharingShown): void {
    const { state, words, path } = shown;
    const stands = state.name === 'sharing';
    const failed = state.name === 'failed';
    this.root.dataset['tone'] = words.tone;
    setText(this.#title, words.title);
    setNote(this.#detail, failed ? null : words.detail);
    setNote(this.#problem, failed ? words.detail : null);
    this.#dot.hidden = !stands;
    this.#continue.hidden = state.name !== 'needs_gesture';
    this.#retry.hidden = !failed;
    this.#retry.disabled = shown.barred !== null;
    this.#stop.disabled = state.name === 'stopping';
    setText(this.#stop, failed ? 'Choose something else' : 'Stop sharing');
    this.#stop.classList.toggle('danger', !failed);

    this.#facts.hidden = !stands;
    setText(this.#watcherCount, watcherWords(shown.watchers));
    this.#showNames(shown.watchers.map(watcherName));
    setText(this.#path, path === null ? '' : pathWords(path, shown.fallbackReason));
    this.#qualityRow.hidden = shown.degradation === null;
    setText(this.#quality, shown.degradation === null ? '' : degradationWords(shown.degradation.level, shown.degradation.cause));

    this.#again.hidden = !(stands && path === 'browser' && shown.nativeThere) && !(failed && shown.barred !== null);
    this.#goNative.hidden = failed;
    this.tick(Date.now(), shown.since, shown.nativeAvailableAt);
  }

  /** What changes with the time alone. */
  tick(now: number, since: number | null, nativeAvailableAt: number | null): void {
    this.#elapsed.hidden = since === null;
    setText(this.#elapsed, since === null ? '' : elapsed(now - since));
    this.#goNative.disabled = nativeAvailableAt !== null && nativeAvailableAt > now;
    setText(this.#againNote, nativeAgainWords(nativeAvailableAt, now));
  }

  focus(): void {
    this.#title.focus();
  }

  #showNames(names: string[]): void {
    if (names.join('\n') === [...this.#watcherList.children].map(({ textContent }) => textContent).join('\n')) return;
    this.#watcherList.replaceChildren(...names.map((name) => element('li', {}, name)));
  }
}

function row(term: string, description: HTMLElement): HTMLElement {
  return element('div', {}, element('dt', {}, term), description);
}
