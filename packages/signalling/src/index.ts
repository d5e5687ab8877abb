/** The signalling of yc-server for pages: docs/signalling.md in TypeScript. */
export { backoffMs } from './backoff.ts';
export * from './messages.ts';
export { Signal, SignalError, type LocalCode, type SignalOptions, type Socket } from './signal.ts';
export { roleOfToken, roomNameProblem } from './token.ts';
export { createRecvTransport, createSendTransport } from './transport.ts';
