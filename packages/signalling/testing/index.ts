/** Stand-ins for tests of pages: a server in memory, and a device that needs no browser. */
export { fakeDevice, fakeParameters } from './fake-parameters.ts';
export { FakeServer, nativeSession, type Answer } from './fake-server.ts';
