import type { CreatedToken, CreateTokenRequest, Token } from '@offshoot/client';
import type { Actor, BranchId, Catalog, TokenId, TokenRecord } from '@offshoot/pageserver';
import { baseError, parseBranchName } from '@offshoot/types';
import { controlError } from '../control-errors.js';
import type { AccessSettings } from './access-settings.js';
import type { Caller } from './caller.js';
import { Reach } from './reach.js';
import { isSecretOf, newTokenSecret, readTokenSecret } from './token-secret.js';

/** As in `/v1/tokens/self`. */
const SELF = 'self';

/** Tokens of the management API besides the data directory's own. */
export class TokenKeeper {
  /** When each was last shown, as far as that is not written down. */
  readonly #uses = new Map<TokenId, string>();
  #writing: NodeJS.Timeout | undefined;

  constructor(
    private readonly catalog: Pick<Catalog, 'tokens' | 'findBranch' | 'branchNamed'>,
    private readonly settings: Pick<AccessSettings, 'tokensMax' | 'tokenUseWriteMs'>,
    private readonly onTrouble: (error: unknown) => void = () => {},
    private readonly now: () => Date = () => new Date(),
  ) {}

  /** Whose token that is; undefined: nobody's. Throws `token_expired`. */
  callerOf(sent: string): Caller | undefined {
    const read = readTokenSecret(sent);
    const token = read && this.catalog.tokens.find(read.id);
    if (read === undefined || token === undefined || !isSecretOf(read.secret, token.secretHash))
      return undefined;
    if (this.#isExpired(token)) {
      throw controlError('token_expired', `the token ${token.name} has expired (${token.expiresAt})`);
    }
    this.#used(token.id);
    const { id, name, scope } = token;
    const reach = scope === 'branch' ? { reach: new Reach(this.catalog, token) } : {};
    return { scope, actor: { token: id, name }, ...reach };
  }

  /** Throws `invalid_argument`, `branch_not_found`, `token_exists`, `tokens_exhausted`. */
  async create(request: CreateTokenRequest, by: Actor): Promise<CreatedToken> {
    const { name, scope, ttl_seconds, reach } = request;
    if (name === SELF) throw baseError('invalid_argument', `name: ${SELF} is what a token calls itself`);
    const parents = this.#parentsOf(request);
    const { id, sent, secretHash } = newTokenSecret();
    const now = this.now();
    const record: TokenRecord = {
      id,
      name,
      scope,
      secretHash,
      createdAt: now.toISOString(),
      createdBy: by,
      ...(ttl_seconds === undefined
        ? {}
        : { expiresAt: new Date(now.getTime() + ttl_seconds * 1000).toISOString() }),
      ...(parents === undefined ? {} : { parents, reach: reach ?? 'own' }),
    };
    await this.catalog.tokens.add(record, this.settings.tokensMax);
    return { token: this.#view(record), secret: sent };
  }

  list(): Token[] {
    return this.catalog.tokens.all().map((record) => this.#view(record));
  }

  one(text: string): Token {
    return this.#view(this.catalog.tokens.named(text));
  }

  /** By id or name. The next call with it is refused. */
  async revoke(text: string): Promise<Token> {
    const record = await this.catalog.tokens.remove(text);
    const view = this.#view(record);
    this.#uses.delete(record.id);
    return view;
  }

  /** Writes down what is not yet. */
  async close(): Promise<void> {
    clearTimeout(this.#writing);
    await this.#writeUses();
  }

  #parentsOf({ scope, parents, reach }: CreateTokenRequest): BranchId[] | undefined {
    if (scope === 'branch') {
      if (parents === undefined) {
        throw baseError(
          'invalid_argument',
          'a token of scope branch needs parents: the branches that it may branch',
        );
      }
      return parents.map((name) => this.catalog.branchNamed(parseBranchName(name)).id);
    }
    if (parents ?? reach) {
      throw baseError(
        'invalid_argument',
        `parents and reach are of scope branch, and this one is of scope ${scope}`,
      );
    }
    return undefined;
  }

  #isExpired({ expiresAt }: TokenRecord): boolean {
    return expiresAt !== undefined && expiresAt <= this.now().toISOString();
  }

  #used(id: TokenId): void {
    this.#uses.set(id, this.now().toISOString());
    this.#writing ??= setTimeout(() => {
      this.#writing = undefined;
      void this.#writeUses();
    }, this.settings.tokenUseWriteMs).unref();
  }

  async #writeUses(): Promise<void> {
    if (this.#uses.size === 0) return;
    const uses = new Map(this.#uses);
    this.#uses.clear();
    await this.catalog.tokens.recordUse(uses).catch(this.onTrouble);
  }

  #view(record: TokenRecord): Token {
    const { id, name, scope, createdAt, createdBy, expiresAt, parents, reach } = record;
    const lastUsedAt = this.#uses.get(id) ?? record.lastUsedAt;
    return {
      id,
      name,
      scope,
      state: this.#isExpired(record) ? 'expired' : 'valid',
      created_at: createdAt,
      created_by: createdBy,
      ...(expiresAt === undefined ? {} : { expires_at: expiresAt }),
      ...(lastUsedAt === undefined ? {} : { last_used_at: lastUsedAt }),
      ...(parents === undefined
        ? {}
        : {
            parents: parents.flatMap((parent) => this.catalog.findBranch(parent)?.name ?? []),
            reach: reach ?? 'own',
          }),
    };
  }
}
