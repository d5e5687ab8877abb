/** What the picker shows of a list of sources, and what stays selected when the list changes. Pure. */
import type { NativeSource } from 'yc-share-controller';

export interface Section {
  title: string;
  sources: NativeSource[];
}

/** The sections that have something in them, in the order of the page; sources keep the host's order. */
export function sectionsOf(sources: readonly NativeSource[]): Section[] {
  const monitors = sources.filter(({ kind }) => kind === 'monitor').length;
  const whole = sources.some(({ kind }) => kind === 'screen');
  // The only monitor shows what the whole screen does.
  const listed = monitors === 1 && whole ? sources.filter(({ kind }) => kind !== 'monitor') : sources;
  return SECTIONS.map(({ title, kinds }) => ({
    title,
    sources: listed.filter(({ kind }) => kinds.includes(kind)),
  })).filter((section) => section.sources.length > 0);
}

/** What is selected in a new list: the same source while it is there, else nothing: never one that nobody chose. */
export function selectionIn(sources: readonly NativeSource[], selected: string | null): string | null {
  return sources.some(({ id }) => id === selected) ? selected : null;
}

export function titleOf({ title, kind, process }: NativeSource): string {
  const trimmed = title.trim();
  if (trimmed !== '') return trimmed;
  if (kind === 'window') return process === null ? 'Window without a title' : `Window of ${process}`;
  return kind === 'test' ? 'Test picture' : 'Screen';
}

/** Process and size, for example `firefox · 1920 × 1080`. */
export function detailOf(source: NativeSource): string {
  const size = source.width > 0 && source.height > 0 ? `${source.width} × ${source.height}` : null;
  return [source.process, size].filter((part) => part !== null && part !== '').join(' · ');
}

/** What is shared, after “You are sharing”. */
export function kindWords(kind: NativeSource['kind']): string {
  return { screen: 'a screen', monitor: 'a screen', window: 'a window', test: 'a test picture' }[kind];
}

const SECTIONS: readonly { title: string; kinds: readonly NativeSource['kind'][] }[] = [
  { title: 'Screens', kinds: ['screen', 'monitor'] },
  { title: 'Windows', kinds: ['window'] },
  { title: 'Test pictures', kinds: ['test'] },
];
