import { X509Certificate } from 'node:crypto';
import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createSecureContext } from 'node:tls';
import { type CertificateAndKey, selfSignedCertificate } from '@offshoot/gateway';

/** In the data directory; they are made once and stay over restarts. */
const certificateName = 'gateway.crt';
const keyName = 'gateway.key';

/** The data directory's own certificate and key; made anew where there are none that can be used. */
export async function ownGatewayCertificate(
  dataDirectory: string,
  now: Date,
  domain: string | undefined,
): Promise<CertificateAndKey> {
  const paths = { cert: join(dataDirectory, certificateName), key: join(dataDirectory, keyName) };
  const kept = await readUsable(paths, now).catch(() => undefined);
  if (kept !== undefined) return kept;
  const made = await selfSignedCertificate(now, domain);
  // A pair of which only one half was written is none, and is made anew.
  await replaceFile(paths.key, made.key, 0o600);
  await replaceFile(paths.cert, made.cert, 0o644);
  return made;
}

async function readUsable(paths: CertificateAndKey, now: Date): Promise<CertificateAndKey | undefined> {
  const [cert, key] = await Promise.all([readFile(paths.cert, 'utf8'), readFile(paths.key, 'utf8')]);
  createSecureContext({ cert, key });
  return new Date(new X509Certificate(cert).validTo) > now ? { cert, key } : undefined;
}

async function replaceFile(path: string, text: string, mode: number): Promise<void> {
  await writeFile(`${path}.new`, text, { mode });
  await rename(`${path}.new`, path);
}
