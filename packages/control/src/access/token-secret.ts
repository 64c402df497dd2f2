import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { TokenId } from '@offshoot/pageserver';

const ID_BYTES = 16;
const SECRET_BYTES = 32;

/** What is sent is `offshoot_ID_SECRET`, so that whoever finds one in a file knows what it opens. */
const FORM = /^offshoot_([0-9a-f]{32})_([A-Za-z0-9_-]{43})$/;

export function newTokenSecret(): { id: TokenId; sent: string; secretHash: string } {
  const id = randomBytes(ID_BYTES).toString('hex') as TokenId;
  const secret = randomBytes(SECRET_BYTES).toString('base64url');
  return { id, sent: `offshoot_${id}_${secret}`, secretHash: hashOf(secret) };
}

/** Undefined: it is none. */
export function readTokenSecret(sent: string): { id: string; secret: string } | undefined {
  const [, id, secret] = FORM.exec(sent) ?? [];
  return id === undefined || secret === undefined ? undefined : { id, secret };
}

export function isSecretOf(secret: string, secretHash: string): boolean {
  return timingSafeEqual(Buffer.from(hashOf(secret), 'hex'), Buffer.from(secretHash, 'hex'));
}

/** 256 bits of chance need no slow hash. */
function hashOf(secret: string): string {
  return createHash('sha256').update(secret).digest('hex');
}
