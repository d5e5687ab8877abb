/** Sentences for people. */

const ENDS: Record<string, string> = {
  requested: 'Sharing was stopped.',
  window_closed: 'The shared window was closed.',
  monitor_removed: 'The shared monitor was unplugged.',
  end_of_file: 'The recording came to its end.',
  browser_stopped: 'Sharing was stopped in the browser.',
  declined: 'Sharing was declined.',
};

/** Why a share ended that did not fail. */
export function endInWords(reason: string, detail: string | null = null): string {
  return ENDS[reason] ?? detail ?? 'The share has ended.';
}

/** Why neither path works. */
export function failureInWords(message: string, nativeMessage: string | null): string {
  if (nativeMessage === null) return message;
  return `The native share failed: ${asSentence(nativeMessage)} ${message}`;
}

export function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function asSentence(text: string): string {
  return /[.!?]$/.test(text) ? text : `${text}.`;
}
