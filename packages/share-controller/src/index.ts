/** Shares a screen natively where that works, and by the browser where it does not. */
export { BrowserSender, canCaptureScreen, type BrowserSenderOptions } from './browser/sender.ts';
export { CaptureError, type CaptureProblem } from './browser/errors.ts';
export { ShareController, type ShareControllerOptions, type ShareRequest } from './controller.ts';
export { CoolDown } from './cooldown.ts';
export { validateNativeSession, type Problem, type SessionRules } from './guard.ts';
export { StatusHistory, type HistorySample } from './history.ts';
export { DEFAULT_LIMITS, instability, type InstabilityLimits, type Sample, type Verdict } from './instability.ts';
export { BridgeNativeSender, type BridgeOptions } from './native/bridge.ts';
export type { NativeTimeouts } from './native/commands.ts';
export {
  NativeError,
  type LocalNativeCode,
  type NativeSender,
  type NativeSource,
  type PrepareRequest,
  type Prepared,
  type Thumbnail,
} from './native/sender.ts';
export type { LatencyStage, LatencySummary, NativeStatus, SenderEvent, SenderStatus } from './native/status.ts';
export { TauriNativeSender, type TauriApi } from './native/tauri.ts';
export { ShareRoom, type ShareRoomOptions, type ShareRoomState } from './room.ts';
export type { RoomSession } from './session.ts';
export type { Fallback, SharePath, ShareState } from './state.ts';
