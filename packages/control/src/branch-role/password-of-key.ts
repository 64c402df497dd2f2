import { createHmac, randomBytes } from 'node:crypto';

const NONCE_BYTES = 32;
const PASSWORD_BYTES = 24;

/** Chance that is written down, of which, with a key that is not, a password is made. */
export function newPasswordNonce(): string {
  return randomBytes(NONCE_BYTES).toString('base64url');
}

/**
 * The password that a call under an `Idempotency-Key` was told: the same call again gets it again, and no disk has it.
 * Whoever reads the nonce needs the key too.
 */
export function passwordOfKey(nonce: string, key: string): string {
  const digest = createHmac('sha256', Buffer.from(nonce, 'base64url')).update(key).digest();
  return digest.subarray(0, PASSWORD_BYTES).toString('base64url');
}
