import { webcrypto } from 'node:crypto';

/** PEM. */
export interface CertificateAndKey {
  readonly cert: string;
  readonly key: string;
}

const DAY_MS = 86_400_000;
const DAYS_VALID = 3650;
/** A client whose clock is a little behind takes it, too. */
const DAYS_BEFORE = 1;

/**
 * A new key with a certificate that it has signed itself, for the names by which local clients get here and those
 * below `domain`. It encrypts, and proves who we are only to a client that was given it.
 */
export async function selfSignedCertificate(
  now: Date,
  domain: string | undefined,
): Promise<CertificateAndKey> {
  // Loaded only where one has to be made: once in the life of a data directory. The library asks for the polyfill.
  await import('reflect-metadata');
  const x509 = await import('@peculiar/x509');
  const signingAlgorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
  const keys = await webcrypto.subtle.generateKey(signingAlgorithm, true, ['sign', 'verify']);
  const names = ['localhost', ...(domain === undefined ? [] : [domain, `*.${domain}`])];
  const certificate = await x509.X509CertificateGenerator.createSelfSigned(
    {
      name: 'CN=Offshoot gateway',
      notBefore: new Date(now.getTime() - DAYS_BEFORE * DAY_MS),
      notAfter: new Date(now.getTime() + DAYS_VALID * DAY_MS),
      signingAlgorithm,
      keys,
      extensions: [
        // Libraries take a certificate that they were given as their root only when it may sign, itself.
        new x509.BasicConstraintsExtension(true, undefined, true),
        new x509.SubjectAlternativeNameExtension([
          ...names.map((value) => ({ type: 'dns' as const, value })),
          ...['127.0.0.1', '::1'].map((value) => ({ type: 'ip' as const, value })),
        ]),
      ],
    },
    webcrypto,
  );
  const key = await webcrypto.subtle.exportKey('pkcs8', keys.privateKey);
  return { cert: certificate.toString('pem'), key: x509.PemConverter.encode(key, 'PRIVATE KEY') };
}
