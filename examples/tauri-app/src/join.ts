/** The form that asks for server, room, token and name. */
import { button, element, setNote, setText } from './dom.ts';
import { type JoinField, type JoinValues, joinProblem } from './settings.ts';

export class JoinForm {
  readonly root: HTMLElement;
  readonly #form: HTMLFormElement;
  readonly #inputs: Record<JoinField, HTMLInputElement>;
  readonly #problem = element('p', { class: 'alert', id: 'join-problem', role: 'alert' });
  readonly #join = element('button', { type: 'submit', id: 'join', class: 'primary' }, 'Join');
  readonly #cancel: HTMLButtonElement;

  constructor(values: JoinValues, onJoin: (values: JoinValues) => void, onCancel: () => void) {
    this.#inputs = {
      server: input('server', { type: 'url', placeholder: 'http://localhost:8080', autocomplete: 'url', inputmode: 'url' }),
      room: input('room', { type: 'text', maxlength: '64', autocomplete: 'off' }),
      token: input('token', { type: 'password', autocomplete: 'off' }),
      name: input('name', { type: 'text', autocomplete: 'name', 'aria-describedby': 'name-hint' }),
    };
    this.#cancel = button('Cancel', { class: 'plain' }, onCancel);
    this.#form = element(
      'form',
      { novalidate: '', autocomplete: 'on' },
      field('Server', this.#inputs.server),
      field('Room', this.#inputs.room),
      field('Token', this.#inputs.token),
      field('Your name', this.#inputs.name, element('p', { class: 'hint', id: 'name-hint' }, 'Optional. How others in the room see you.')),
      this.#problem,
      element('div', { class: 'actions' }, this.#join, this.#cancel),
    );
    this.root = element(
      'section',
      { class: 'card join', 'aria-labelledby': 'join-title' },
      element('h1', { id: 'join-title' }, 'Share a screen'),
      element('p', { class: 'hint' }, 'Join a room first. Its token comes from whoever runs the server.'),
      this.#form,
    );
    for (const [name, value] of Object.entries(values)) this.#inputs[name as JoinField].value = value;
    this.#problem.hidden = true;
    this.busy = false;
    this.#form.addEventListener('submit', (event) => {
      event.preventDefault();
      const typed = this.#values();
      const problem = joinProblem(typed);
      this.showProblem(problem?.words ?? null, problem?.field);
      if (problem === null) onJoin(typed);
    });
  }

  /** While the room is being entered. */
  set busy(busy: boolean) {
    this.#join.disabled = busy;
    setText(this.#join, busy ? 'Connecting…' : 'Join');
    this.#form.setAttribute('aria-busy', String(busy));
    this.#cancel.hidden = !busy;
    for (const each of Object.values(this.#inputs)) each.readOnly = busy;
  }

  showProblem(words: string | null, at?: JoinField): void {
    setNote(this.#problem, words);
    for (const [name, each] of Object.entries(this.#inputs)) {
      each.setAttribute('aria-invalid', String(name === at));
    }
    if (at !== undefined) this.#inputs[at].focus();
  }

  /** Puts the cursor where the first value is missing. */
  focus(): void {
    const empty = REQUIRED.find((name) => this.#inputs[name].value === '');
    (empty === undefined ? this.#join : this.#inputs[empty]).focus();
  }

  #values(): JoinValues {
    const value = (name: JoinField): string => this.#inputs[name].value.trim();
    return { server: value('server'), room: value('room'), token: value('token'), name: value('name') };
  }
}

function input(name: JoinField, attributes: Record<string, string>): HTMLInputElement {
  return element('input', { id: name, name, spellcheck: 'false', autocapitalize: 'none', ...attributes });
}

function field(label: string, control: HTMLInputElement, ...more: Node[]): HTMLElement {
  return element('div', { class: 'field' }, element('label', { for: control.id }, label), control, ...more);
}

const REQUIRED: readonly JoinField[] = ['server', 'room', 'token'];
