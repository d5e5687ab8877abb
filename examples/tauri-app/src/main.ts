/** Starts the page: joins the room, the share controller and the views. What each part does is in its own file. */
import { Device } from 'mediasoup-client';
import { type NativeSource, ShareController, type ShareRequest, ShareRoom } from 'yc-share-controller';
import { DebugPanel } from './debug/panel.ts';
import { EventLog, eventRow, stateRow } from './debug/event-log.ts';
import { debugAllowed } from './gate.ts';
import { JoinForm } from './join.ts';
import { browserCanShare, findNativeSender } from './native.ts';
import { Picker } from './picker.ts';
import { kindWords } from './picker-model.ts';
import { exposeProbe, pathOf } from './probe.ts';
import { type JoinValues, initialValues, remember, signallingUrl } from './settings.ts';
import { SharingView } from './sharing.ts';
import { Shell } from './shell.ts';
import { NO_PATH, because, endWords, nativeWaitWords, roomWords, sentence, sharingWords } from './words.ts';

/** Of this app; told to the server with each diagnostic. */
const VERSION = '0.1.0';

const query = new URLSearchParams(location.search);
const native = findNativeSender(query);
const browserThere = browserCanShare();
const coolDownMs = import.meta.env.DEV ? Number(query.get('coolDownMs') ?? Number.NaN) : Number.NaN;

const controller = new ShareController({
  native,
  browser: { supported: () => browserThere },
  ...(coolDownMs >= 0 ? { coolDownMs } : {}),
  versions: { app: VERSION },
});
const log = new EventLog();

let room: ShareRoom | null = null;
let roomName = '';
/** Whether the room was ever entered: until then its troubles are the form's. */
let entered = false;
let request: ShareRequest = {};
/** What is being shared, after “You are sharing”. */
let what = '';
let since: number | null = null;
/** Code of the fall back that led to the path in use. */
let fellBack: string | null = null;
let shown = controller.state;

const form = new JoinForm(initialValues(query, storage()), join, () => leave(null));
const picker = new Picker(native, browserThere, { share });
const sharing = new SharingView({
  stop: () => void controller.stop(),
  continueInBrowser: () => void controller.continueInBrowser(),
  goNative: () => void controller.goNative(),
  retry: () => void controller.start(request),
});
const app = document.getElementById('app')!;
const shell = new Shell(app, { form, picker, sharing }, () => leave(null));
const debug = debugAllowed(import.meta.env.DEV, () => localStorage) ? addDebugPanel() : null;

exposeProbe({
  state: () => (entered ? controller.state.name : room === null ? 'form' : 'connecting'),
  path: () => pathOf(controller.state),
  producerId: () => (controller.state.name === 'sharing' ? controller.state.producerId : null),
  watchers: () => watchers().map((watcher) => ({ ...watcher })),
  nativeAvailableAt: () => controller.nativeAvailableAt,
  fallbackReason: () => controller.lastFallback?.reason ?? null,
});
controller.onChange = handleChange;
controller.onStatus = render;
addEventListener('pagehide', () => {
  void controller.stop();
  room?.stop();
});
addEventListener('online', () => room?.retry());
setInterval(tick, 1_000);
render();

function join(values: JoinValues): void {
  const url = signallingUrl(values.server);
  if ('problem' in url) return;
  room?.stop();
  remember(values, storage());
  roomName = values.room;
  const joined = new ShareRoom({
    url: url.url,
    room: values.room,
    token: values.token,
    ...(values.name === '' ? {} : { name: values.name }),
    createDevice: () => Device.factory(),
  });
  room = joined;
  joined.onChange = () => {
    if (room === joined) handleRoom(joined);
  };
  joined.onSession = (session) => {
    if (room === joined) controller.attach(session);
  };
  joined.onWatchers = render;
  joined.start();
  render();
}

function handleRoom({ state }: ShareRoom): void {
  if (state.name === 'joined') entered = true;
  // The first way in: what does not work is said in the form, and nothing is tried behind its back.
  else if (state.name === 'reconnecting' && !entered) return leave(roomWords({ code: 'connection_lost', message: state.message }));
  else if (state.name === 'failed') return leave(roomWords(state));
  render();
}

/** Back to the form; with what went wrong, if something did. */
function leave(problem: string | null): void {
  const left = room;
  room = null;
  entered = false;
  void controller.stop();
  left?.stop();
  controller.attach(null);
  render();
  form.showProblem(problem);
}

/** In a click: the browser asks only then. */
function share(source: NativeSource | null): void {
  request = source === null ? {} : { source: source.id };
  what = source === null ? 'by the browser' : kindWords(source.kind);
  void controller.start(request);
}

function handleChange(): void {
  const { state } = controller;
  if (state !== shown) {
    shown = state;
    log.push(stateRow(Date.now(), state));
    if (state.name === 'switching' || state.name === 'needs_gesture') fellBack = pathOf(state) === 'browser' ? state.reason : null;
    if (state.name === 'sharing') {
      since ??= Date.now();
      if (state.path === 'native') fellBack = null;
    }
    if (state.name === 'idle' || state.name === 'failed' || state.name === 'disposed') since = null;
    // What failed is still said, until there is something new to say.
    if (state.name === 'idle' || state.name === 'starting') fellBack = null;
  }
  render();
}

function render(): void {
  form.busy = room !== null && !entered;
  const { state } = controller;
  const words = entered ? sharingWords(state, what, browserThere, fellBack) : null;
  const view = !entered ? 'form' : words === null ? 'picker' : 'sharing';
  const path = pathOf(state);
  const barred = whyBarred();
  if (room !== null) {
    const away = room.state.name === 'reconnecting' ? `Reconnecting: ${sentence(room.state.message)}` : 'Connecting…';
    shell.showRoom(`Room ${roomName}`, room.state.name === 'joined' ? 'joined' : 'away', room.state.name === 'joined' ? 'Connected' : away);
  }
  picker.show({ notice: state.name === 'idle' ? endWords(state.ended) : null, barred, hint: hint() });
  if (words !== null) {
    sharing.show({
      state,
      words,
      path,
      since,
      watchers: watchers(),
      fallbackReason: fellBack,
      degradation: path === 'native' ? (controller.status?.native_sender?.degradation ?? null) : null,
      nativeThere: native !== null && request.source !== undefined,
      nativeAvailableAt: controller.nativeAvailableAt,
      barred,
    });
  }
  shell.show(view);
  picker.visible = view === 'picker';
  const on = entered && since !== null;
  const switched = path === 'browser' && fellBack !== null ? ` The browser shares, because ${because(fellBack)}.` : '';
  shell.showSharing(on, on ? `● Sharing – ${roomName}` : entered ? `${roomName} – Share a screen` : 'Share a screen', words === null ? '' : `${words.title}.${switched}`);
}

function tick(): void {
  if (entered) {
    sharing.tick(Date.now(), since, controller.nativeAvailableAt);
    // A cool-down passes without anybody telling.
    picker.show({ notice: controller.state.name === 'idle' ? endWords(controller.state.ended) : null, barred: whyBarred(), hint: hint() });
  }
  debug?.update();
}

/** Why nothing can be shared now; `null` if something can. */
function whyBarred(): string | null {
  if (native === null && !browserThere) return NO_PATH;
  if (!browserThere) return nativeWaitWords(controller.nativeAvailableAt, Date.now());
  return null;
}

/** What is good to know before one shares. */
function hint(): string | null {
  if (native === null) return 'The browser asks what to share.';
  const wait = nativeWaitWords(controller.nativeAvailableAt, Date.now());
  return wait === null ? null : `${wait} Until then the browser asks what to share.`;
}

function watchers() {
  const { state } = controller;
  return state.name === 'sharing' ? (room?.watchers(state.producerId) ?? []) : [];
}

function addDebugPanel(): DebugPanel {
  native?.subscribe((event) => log.push(eventRow(Date.now(), event)));
  controller.onDiagnostic = (diagnostic) => {
    log.push({ at: Date.now(), name: 'diagnostic', code: diagnostic.reason_code ?? '', note: diagnostic.class });
  };
  const panel = new DebugPanel({
    hostKind: native?.kind ?? null,
    samples: () => controller.history.samples,
    status: () => controller.status,
    page: () => ({ app: VERSION, state: controller.state.name, path: pathOf(controller.state), fallback_reason: controller.lastFallback?.reason ?? null }),
    log,
  });
  app.append(panel.root);
  return panel;
}

function storage(): Storage | null {
  try {
    return localStorage;
  } catch {
    return null;
  }
}
