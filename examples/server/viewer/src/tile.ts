/** One share on the stage: its video, and what to say while there is none. */
import { unixMs } from './clock.ts';
import { element, setText } from './dom.ts';
import type { Share } from './room.ts';

export class Tile {
  readonly root: HTMLElement;
  readonly video: HTMLVideoElement;
  /** The transparent button over the tile: makes it big. */
  readonly zoom: HTMLButtonElement;
  /** When the first picture was there, in Unix milliseconds. */
  firstFrameAtMs: number | null = null;

  readonly #note = element('p', { class: 'tile-note' }, 'Starting…');
  readonly #label = element('p', { class: 'tile-label' });
  #track: MediaStreamTrack | null = null;
  readonly #lateTimer = setTimeout(() => this.#sayLate(), LATE_MS);

  constructor() {
    this.video = element('video', { autoplay: '', playsinline: '', muted: '' });
    // The attribute alone does not mute a video that a script made, and browsers start only muted ones by themselves.
    this.video.muted = true;
    this.zoom = element('button', { class: 'tile-zoom', type: 'button' });
    this.root = element('article', { class: 'tile' }, this.video, this.#note, this.#label, this.zoom);
    this.#noteFirstFrame();
  }

  /** Shows the share as it is now, under the name that the stage gives it. */
  update(share: Share, name: string): void {
    const label = `${name} · ${share.native ? 'native' : 'browser'}`;
    setText(this.#label, label);
    this.root.setAttribute('aria-label', label);
    this.video.setAttribute('aria-label', `Screen of ${name.toLowerCase()}`);
    if (share.problem !== null) this.#say(share.problem);
    const track = share.consumer?.track ?? null;
    if (track === this.#track) return;
    this.#track = track;
    this.video.srcObject = track && new MediaStream([track]);
    if (track) this.#play();
  }

  remove(): void {
    clearTimeout(this.#lateTimer);
    this.video.srcObject = null;
    this.root.remove();
  }

  #play(): void {
    this.video.play().catch((error: unknown) => {
      // AbortError: the share ended, or began anew, before it could play.
      if (!(error instanceof DOMException) || error.name !== 'NotAllowedError') return;
      this.#say('This browser starts no video by itself. Press to play.');
      this.zoom.addEventListener('click', () => this.#play(), { once: true });
    });
  }

  #sayLate(): void {
    if (this.#track && this.firstFrameAtMs === null) this.#say('No picture has come yet. It appears as soon as one does.');
  }

  #say(words: string): void {
    setText(this.#note, words);
    this.#note.hidden = false;
  }

  #noteFirstFrame(): void {
    const note = (): void => {
      this.firstFrameAtMs ??= unixMs();
      this.#note.hidden = true;
    };
    // Whichever comes first; a browser may lack the callback, and does not call it in a hidden tab.
    this.video.addEventListener('loadeddata', note, { once: true });
    this.video.requestVideoFrameCallback?.(note);
  }
}

/** After that long without a picture, a viewer wonders. */
const LATE_MS = 5_000;
