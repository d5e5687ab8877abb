/** What the browser's answer to getDisplayMedia means. */

export type CaptureProblem =
  /** The user said no, or the page may not ask. */
  | 'declined'
  /** It captures only in answer to a click. */
  | 'needs_gesture'
  /** This platform has no getDisplayMedia. */
  | 'browser_unsupported'
  | 'browser_failed';

export class CaptureError extends Error {
  readonly code: CaptureProblem;

  constructor(code: CaptureProblem, message: string) {
    super(message);
    this.name = 'CaptureError';
    this.code = code;
  }
}

export function asCaptureError(error: unknown): CaptureError {
  if (error instanceof CaptureError) return error;
  const { name, message } = error instanceof Error || error instanceof DOMException ? error : { name: '', message: String(error) };
  if (name === 'NotAllowedError') return new CaptureError('declined', 'Sharing was declined.');
  if (name === 'InvalidStateError') return new CaptureError('needs_gesture', 'The browser captures only after a click.');
  if (name === 'NotSupportedError') return new CaptureError('browser_unsupported', UNSUPPORTED);
  return new CaptureError('browser_failed', `The browser could not capture: ${message || name}`);
}

export const UNSUPPORTED = 'This window cannot capture a screen by itself: it has no getDisplayMedia, or the page is not in a secure context.';
