/** The form that asks for room and token when the address lacks them. */
import { roomNameProblem } from 'yc-signalling';
import { element, setText } from './dom.ts';

export class JoinForm {
  readonly root: HTMLElement;
  readonly #form: HTMLFormElement;
  readonly #room = field('room', 'Room', { autocomplete: 'off', autocapitalize: 'none', maxlength: '64' });
  readonly #token = field('token', 'Token', { autocomplete: 'off', autocapitalize: 'none' });

  constructor(onJoin: (room: string, token: string) => void) {
    const submit = element('button', { type: 'submit', class: 'primary' }, 'Join');
    this.#form = element('form', { novalidate: '' }, this.#room.root, this.#token.root, submit);
    this.root = element(
      'section',
      { class: 'card join', 'aria-labelledby': 'join-title' },
      element('h1', { id: 'join-title' }, 'Join a room'),
      element('p', { class: 'hint' }, 'See every screen that is shared in it. The token comes from whoever runs the server.'),
      this.#form,
    );
    this.root.hidden = true;
    this.#form.addEventListener('submit', (event) => {
      event.preventDefault();
      const room = this.#room.input.value.trim();
      const token = this.#token.input.value.trim();
      const faulty = [
        this.#room.complain(roomNameProblem(room)),
        this.#token.complain(token === '' ? 'Enter the token.' : null),
      ].indexOf(true);
      if (faulty >= 0) [this.#room, this.#token][faulty]!.input.focus();
      else onJoin(room, token);
    });
  }

  show(room: string, token: string): void {
    this.#room.input.value = room;
    this.#token.input.value = token;
    this.#room.complain(room === '' ? null : roomNameProblem(room));
    this.#token.complain(null);
    this.root.hidden = false;
    (room === '' ? this.#room : this.#token).input.focus();
  }

  hide(): void {
    this.root.hidden = true;
  }
}

interface Field {
  root: HTMLElement;
  input: HTMLInputElement;
  /** Says what is wrong, or that nothing is; returns whether something is. */
  complain: (problem: string | null) => boolean;
}

function field(name: string, label: string, attributes: Record<string, string>): Field {
  const id = `join-${name}`;
  const input = element('input', { id, name, type: 'text', spellcheck: 'false', required: '', 'aria-describedby': `${id}-problem`, ...attributes });
  const problem = element('p', { class: 'problem', id: `${id}-problem`, role: 'alert' });
  const root = element('div', { class: 'field' }, element('label', { for: id }, label), input, problem);
  const complain = (words: string | null): boolean => {
    setText(problem, words ?? '');
    input.setAttribute('aria-invalid', String(words !== null));
    return words !== null;
  };
  return { root, input, complain };
}
