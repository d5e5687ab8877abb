/** Makes mediasoup-client transports whose needs are met over the signalling connection. */
import type { types } from 'mediasoup-client';
import type { TransportInfo } from './messages.ts';
import type { Signal } from './signal.ts';

/** A transport to receive by. The device may still be loading: the server is asked meanwhile. */
export async function createRecvTransport(signal: Signal, loading: Promise<types.Device>): Promise<types.Transport> {
  const [info, device] = await Promise.all([signal.request('create_transport', { direction: 'recv' }), loading]);
  const transport = device.createRecvTransport(transportOptions(info));
  connectBy(signal, transport);
  return transport;
}

/** A transport to send by. */
export async function createSendTransport(signal: Signal, device: types.Device): Promise<types.Transport> {
  const info = await signal.request('create_transport', { direction: 'send' });
  const transport = device.createSendTransport(transportOptions(info));
  connectBy(signal, transport);
  transport.on('produce', ({ kind, rtpParameters }, done, failed) => {
    signal
      .request('produce', { transport_id: transport.id, kind, rtp_parameters: rtpParameters })
      .then(({ producer_id }) => done({ id: producer_id }), failed);
  });
  return transport;
}

function connectBy(signal: Signal, transport: types.Transport): void {
  transport.on('connect', ({ dtlsParameters }, done, failed) => {
    signal
      .request('connect_transport', { transport_id: transport.id, dtls_parameters: dtlsParameters })
      .then(done, failed);
  });
}

function transportOptions(info: TransportInfo): types.TransportOptions {
  return {
    id: info.transport_id,
    iceParameters: info.ice_parameters,
    iceCandidates: info.ice_candidates,
    dtlsParameters: info.dtls_parameters,
  };
}
