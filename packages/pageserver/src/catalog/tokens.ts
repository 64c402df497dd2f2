import { catalogError } from './catalog-errors.js';
import type { CatalogTables } from './catalog-tables.js';
import { inOneTransaction } from './catalog-transaction.js';
import type { TokenId, TokenRecord } from './records.js';

/** The tokens of the management API that were made by it. Reads are synchronous; a write is durable when it resolves. */
export class Tokens {
  constructor(private readonly tables: Pick<CatalogTables, 'root' | 'tokens'>) {}

  all(): TokenRecord[] {
    return [...this.tables.tokens.getRange()].map(({ value }) => value);
  }

  find(id: string): TokenRecord | undefined {
    return this.tables.tokens.get(id as TokenId);
  }

  /** By its id, else by its name. Throws `token_not_found`. */
  named(text: string): TokenRecord {
    const token = this.find(text) ?? this.all().find(({ name }) => name === text);
    if (token === undefined) throw catalogError('token_not_found', `there is no token ${text}`);
    return token;
  }

  /** Throws `token_exists`, `tokens_exhausted`. */
  add(token: TokenRecord, tokensMax: number): Promise<void> {
    return this.#write(() => {
      const all = this.all();
      if (all.some(({ name }) => name === token.name)) {
        throw catalogError('token_exists', `there is already a token named ${token.name}`);
      }
      if (all.length >= tokensMax) {
        throw catalogError('tokens_exhausted', `there are ${all.length} tokens, as many as there may be`);
      }
      this.tables.tokens.put(token.id, token);
    });
  }

  /** From the moment that it resolves nobody can use it. Throws `token_not_found`. */
  remove(text: string): Promise<TokenRecord> {
    return this.#write(() => {
      const token = this.named(text);
      this.tables.tokens.remove(token.id);
      return token;
    });
  }

  /** Those that are gone are left out. */
  recordUse(uses: ReadonlyMap<TokenId, string>): Promise<void> {
    return this.#write(() => {
      for (const [id, lastUsedAt] of uses) {
        const token = this.find(id);
        if (token !== undefined) this.tables.tokens.put(id, { ...token, lastUsedAt });
      }
    });
  }

  #write<T>(change: () => T): Promise<T> {
    return inOneTransaction(this.tables.root, change);
  }
}
