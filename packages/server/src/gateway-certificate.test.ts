import { X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { selfSignedCertificate } from '@offshoot/gateway';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ownGatewayCertificate } from './gateway-certificate.js';

let directory: string;
const now = new Date('2026-11-27T12:00:00Z');

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'offshoot-certificate-'));
});

afterEach(() => rmSync(directory, { recursive: true }));

test('is made once, for nobody else to read', async () => {
  const made = await ownGatewayCertificate(directory, now, undefined);
  expect(await ownGatewayCertificate(directory, now, undefined)).toEqual(made);
  expect(statSync(join(directory, 'gateway.key')).mode & 0o777).toBe(0o600);
});

test.each([
  ['the key of another certificate', async () => (await selfSignedCertificate(now, undefined)).key],
  ['no key', () => 'key'],
])('is made anew beside %s', async (_name, key) => {
  const made = await ownGatewayCertificate(directory, now, undefined);
  writeFileSync(join(directory, 'gateway.key'), await key());
  expect((await ownGatewayCertificate(directory, now, undefined)).cert).not.toBe(made.cert);
});

test('is made anew when it has expired', async () => {
  const made = await ownGatewayCertificate(directory, now, undefined);
  const later = new Date('2037-01-01');
  expect((await ownGatewayCertificate(directory, later, undefined)).cert).not.toBe(made.cert);
});

test('is for the domain of branches, too', async () => {
  const { cert } = await ownGatewayCertificate(directory, now, 'db.example.com');
  const certificate = new X509Certificate(cert);
  for (const host of ['localhost', 'try-1.db.example.com']) expect(certificate.checkHost(host)).toBeDefined();
  expect(certificate.checkIP('127.0.0.1')).toBe('127.0.0.1');
});
