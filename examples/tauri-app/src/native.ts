/**
 * The host of this page, chosen in one place: the native sender of the Tauri window, else that of the development
 * server, else none. Everything else takes what is found here.
 */
import { BridgeNativeSender, type NativeSender, TauriNativeSender, canCaptureScreen } from 'yc-share-controller';

export function findNativeSender(query: URLSearchParams): NativeSender | null {
  const tauri = TauriNativeSender.detect();
  if (tauri !== null) return new TauriNativeSender(tauri);
  if (!import.meta.env.DEV) return null;
  const address = BridgeNativeSender.detect();
  if (address === null) return null;
  const fault = query.get('fault');
  return new BridgeNativeSender(fault === null ? address : withFault(address, fault));
}

/** Whether the browser's own path exists: WebKitGTK, for one, captures but has no WebRTC to send by. */
export function browserCanShare(): boolean {
  return canCaptureScreen() && typeof globalThis.RTCPeerConnection === 'function';
}

function withFault(address: string, fault: string): string {
  const url = new URL(address);
  url.searchParams.set('fault', fault);
  return url.href;
}
