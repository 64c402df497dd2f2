import { expect, test } from 'vitest';
import { formatAddress, parseAddress, readSettings } from './settings.js';

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
  [{ apiListen: '0.0.0.0:1' }, /--api-tls-cert/],
  [{ apiListen: '0.0.0.0:1', apiTls: 'off' }, /--api-tls require/],
  [{ apiTlsCert: 'c.pem' }, /--api-tls-key/],
  [{ apiTls: 'off', apiTlsCert: 'c.pem', apiTlsKey: 'k.pem' }, /contradict/],
  [{ apiTls: 'maybe' }, /--api-tls/],
  [{ gatewayPublicHost: 'db.example.com:5432' }, /without a port/],
  [{ pageListen: '127.0.0.1:0', tlsCert: 'c.pem' }, /--tls-key/],
  [{ tlsCert: 'c.pem', tlsKey: 'k.pem' }, /--page-listen/],
  [{ pageTokenFile: 't' }, /--page-listen/],
  [{ pageListen: '0.0.0.0:1' }, /--page-token-file/],
  [{ gatewayListen: '0.0.0.0:1' }, /other machines: give --gateway-tls require/],
  [{ gatewayListen: 'db.example.com:1' }, /other machines/],
  [{ gatewayTls: 'maybe' }, /--gateway-tls/],
  [{ gatewayTlsCert: 'c.pem' }, /--gateway-tls-key/],
  [{ gatewayTls: 'off', gatewayTlsCert: 'c.pem', gatewayTlsKey: 'k.pem' }, /contradict/],
  [{ logLevel: 'loud' }, /--log-level/],
  [{ data: '' }, /--data/],
  [{ osUser: '' }, /--os-user/],
])('%j is refused', (flags, reason) => {
  expect(() => readSettings(flags, {})).toThrow(reason);
});

test.each([
  [{}, 'off'],
  [{ apiTlsCert: 'c.pem', apiTlsKey: 'k.pem' }, 'require'],
  [{ apiListen: '0.0.0.0:7070', apiTls: 'require' }, 'require'],
])('%j: TLS of the API is %s', (flags, tls) => {
  expect(readSettings(flags, {}).apiTls).toBe(tls);
});

test('an empty variable counts as unset', () => {
  expect(readSettings({}, { OFFSHOOT_LOG_LEVEL: '', OFFSHOOT_PG_BINDIR: '' })).not.toHaveProperty('pgBindir');
});

test.each([
  [{}, { host: '127.0.0.1', port: 0 }],
  [{ gatewayListen: '[::1]:5433' }, { host: '::1', port: 5433 }],
  [{ gatewayListen: 'off' }, undefined],
  [
    { gatewayListen: '0.0.0.0:5433', gatewayTls: 'require' },
    { host: '0.0.0.0', port: 5433 },
  ],
  [
    { gatewayListen: '0.0.0.0:5433', gatewayTls: 'allow' },
    { host: '0.0.0.0', port: 5433 },
  ],
])('%j opens the gateway at %j', (flags, address) => {
  expect(readSettings(flags, {}).gatewayListen).toEqual(address);
});

test.each(['127.0.0.1:5433', '[::1]:5433', 'localhost:0'])('%s is written as it is read', (text) => {
  expect(formatAddress(parseAddress('--gateway-listen', text))).toBe(text);
});
