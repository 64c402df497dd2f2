import { readFile } from 'node:fs/promises';
import { createSecureContext } from 'node:tls';
import { baseError } from '@offshoot/types';

/** A file that a flag names. */
export interface FlagFile {
  readonly flag: string;
  readonly path: string;
}

/** A certificate and its key in PEM. Throws `invalid_argument` that names the flags when they are no such thing. */
export async function readTlsFiles(
  certificate: FlagFile,
  privateKey: FlagFile,
): Promise<{ cert: string; key: string }> {
  const cert = await readSecret(certificate);
  const key = await readSecret(privateKey);
  try {
    createSecureContext({ cert, key });
  } catch (cause) {
    const files = [certificate, privateKey].map(({ flag, path }) => `${flag} ${path}`).join(' and ');
    throw baseError('invalid_argument', `${files} are no certificate and key in PEM: ${messageOf(cause)}`, {
      cause,
    });
  }
  return { cert, key };
}

/** What a file holds, without the space around it. Throws `invalid_argument` when that is nothing. */
export async function readSecret({ flag, path }: FlagFile): Promise<string> {
  const text = await readFile(path, 'utf8').catch((cause: unknown) => {
    throw baseError('invalid_argument', `${flag} ${path} cannot be read: ${messageOf(cause)}`, { cause });
  });
  if (text.trim() === '') throw baseError('invalid_argument', `${flag} ${path} is empty`);
  return text.trim();
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
