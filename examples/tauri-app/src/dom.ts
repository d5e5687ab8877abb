/** Makes an element with attributes (`id`, `aria-…`, `role`, …) and children; text is always text, never HTML. */
export function element<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Record<string, string> = {},
  ...children: (Node | string)[]
): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

export function button(label: string, attributes: Record<string, string>, onClick: () => void): HTMLButtonElement {
  const made = element('button', { type: 'button', ...attributes }, label);
  made.addEventListener('click', onClick);
  return made;
}

/** Sets the text where it differs, so that a screen reader is told of changes only. */
export function setText(target: HTMLElement, text: string): void {
  if (target.textContent !== text) target.textContent = text;
}

/** Sets the text, and hides the element while there is none. */
export function setNote(target: HTMLElement, text: string | null): void {
  // Shown before it is filled: an alert that appears with its text already in it is not announced everywhere.
  target.hidden = text === null || text === '';
  setText(target, text ?? '');
}
