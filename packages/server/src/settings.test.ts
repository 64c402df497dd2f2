import { expect, test } from 'vitest';
import { parseAddress, readSettings } from './settings.js';

test.each([
  ['127.0.0.1:0', '127.0.0.1', 0],
  ['localhost:7070', 'localhost', 7070],
  ['[::1]:65535', '::1', 65535],
])('%s is an address', (text, host, port) => {
  expect(parseAddress('--api-listen', text)).toEqual({ host, port });
});

test.each(['', '7070', 'localhost', 'localhost:', ':1', '::1:1', 'a:65536', 'a b:1', 'a:-1'])(
  '%j is refused as an address',
  (text) => {
    expect(() => parseAddress('--api-listen', text)).toThrow(/--api-listen/);
  },
);

test('flags win over the environment', () => {
  const settings = readSettings({ data: '/a' }, { OFFSHOOT_DATA: '/b', OFFSHOOT_LOG_LEVEL: 'warn' });
  expect(settings).toMatchObject({ dataDirectory: '/a', logLevel: 'warn' });
});

test.each([
  [{ apiListen: '0.0.0.0:1' }, /loopback/],
  [{ pageListen: '127.0.0.1:0', tlsCert: 'c.pem' }, /--tls-key/],
  [{ tlsCert: 'c.pem', tlsKey: 'k.pem' }, /--page-listen/],
  [{ pageTokenFile: 't' }, /--page-listen/],
  [{ pageListen: '0.0.0.0:1' }, /--page-token-file/],
  [{ logLevel: 'loud' }, /--log-level/],
  [{ data: '' }, /--data/],
  [{ osUser: '' }, /--os-user/],
])('%j is refused', (flags, reason) => {
  expect(() => readSettings(flags, {})).toThrow(reason);
});

test('an empty variable counts as unset', () => {
  expect(readSettings({}, { OFFSHOOT_LOG_LEVEL: '', OFFSHOOT_PG_BINDIR: '' })).not.toHaveProperty('pgBindir');
});
