/** mediasoup-client's own stand-ins for what a browser and a server offer; its device runs on them without a browser. */
import { Device, FakeHandler, testFakeParameters, type types } from 'mediasoup-client';

export const fakeParameters = testFakeParameters;

export async function fakeDevice(): Promise<types.Device> {
  return Device.factory({ handlerFactory: FakeHandler.createFactory(testFakeParameters) });
}
