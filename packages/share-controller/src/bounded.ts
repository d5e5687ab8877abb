/** `promise`, or the error of `late` where it takes longer than `limitMs` milliseconds. */
export function bounded<T>(promise: Promise<T>, limitMs: number, late: () => Error): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(late()), limitMs);
    promise.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

/** Waits for `promise` to end well or badly, but no longer than `limitMs` milliseconds. */
export async function atMost(promise: Promise<unknown>, limitMs: number): Promise<void> {
  await bounded(promise, limitMs, () => new Error('late')).catch(() => {});
}
