import { createHash, timingSafeEqual } from 'node:crypto';
import type { FastifyRequest } from 'fastify';
import type { AccessSettings } from '../access/access-settings.js';
import type { Caller } from '../access/caller.js';
import { RateLimit } from '../access/rate-limit.js';
import { controlError } from '../control-errors.js';
import type { ControlPlane } from '../control-plane.js';

/** The data directory's own token: whoever can read its file can do everything. */
export const daemonCaller: Caller = { scope: 'admin', actor: { token: 'daemon', name: 'daemon' } };

/** Finds out who calls. Throws `unauthorized`, `token_expired`, `too_many_requests`. */
export class Authenticator {
  readonly #expected: Buffer;
  readonly #refusals: RateLimit;
  readonly #requests: RateLimit;

  constructor(
    token: string,
    private readonly control: Pick<ControlPlane, 'tokens'>,
    settings: Pick<AccessSettings, 'requestsPerSecondMax' | 'refusalsPerMinuteMax'>,
  ) {
    this.#expected = digest(token);
    this.#refusals = new RateLimit({ countMax: settings.refusalsPerMinuteMax, perMs: 60_000 });
    // Saved up for some seconds: agents work in bursts.
    this.#requests = new RateLimit({
      countMax: settings.requestsPerSecondMax * BURST_S,
      perMs: BURST_S * 1000,
    });
  }

  callerOf(request: FastifyRequest): Caller {
    const { ip } = request;
    const sent = /^Bearer (\S+)$/.exec(request.headers.authorization ?? '')?.[1];
    if (sent !== undefined && timingSafeEqual(digest(sent), this.#expected)) return daemonCaller;
    const caller = sent === undefined ? undefined : this.control.tokens.callerOf(sent);
    if (caller === undefined) {
      // Those at the same address that have one are not held up: it cannot be guessed.
      refuseFor(
        this.#refusals.wait(ip),
        'too many requests with a token that is none came from this address',
      );
      this.#refusals.take(ip);
      throw controlError('unauthorized', 'send a token of the page server as "Authorization: Bearer TOKEN"');
    }
    refuseFor(this.#requests.take(caller.actor.token), 'this token has made too many requests');
    return caller;
  }
}

const BURST_S = 5;

function refuseFor(waitMs: number, message: string): void {
  if (waitMs === 0) return;
  throw controlError('too_many_requests', `${message}; wait ${waitMs} ms`, {
    details: { retryAfterMs: waitMs },
  });
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
