import { catalogError, type PageServer } from '@offshoot/pageserver';
import type { OffshootError, TenantId } from '@offshoot/types';
import { sizeText } from './write-quotas.js';

/** What a tenant's pages take on disk, and how much that may be before its branches are refused more. */
export class TenantBytes {
  readonly #used = new Map<TenantId, number>();
  readonly #timer: NodeJS.Timeout | undefined;
  #looking: Promise<void> | undefined;

  constructor(
    private readonly pageServer: Pick<PageServer, 'catalog' | 'statsOf'>,
    /** 0: any. */
    private readonly max: number,
    checkMs: number,
    /** A tenant cannot be measured by the watch: what was measured last goes on to count. */
    private readonly onTrouble: (tenant: string, error: unknown) => void,
  ) {
    if (max > 0) {
      this.#timer = setInterval(() => void this.look(), checkMs).unref();
    }
  }

  close(): void {
    clearInterval(this.#timer);
  }

  /** Measures anew; what cannot be measured is as before. Never rejects. */
  look(): Promise<void> {
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined;
    });
    return this.#looking;
  }

  /** As of the last look. */
  isFull(tenant: TenantId): boolean {
    return this.max > 0 && (this.#used.get(tenant) ?? 0) >= this.max;
  }

  /** What a session is told that wants to write. */
  words(tenant: TenantId): { message: string; hint: string } | undefined {
    if (!this.isFull(tenant)) return undefined;
    return {
      message: this.#message(tenant),
      hint: 'Delete branches that are not needed, or raise the setting quota.storedBytesPerTenantMax. What is there can be read.',
    };
  }

  /** Throws `quota_reached`. */
  async refuseMore(tenant: TenantId): Promise<void> {
    if (this.max === 0) return;
    await this.#measure(tenant);
    if (this.isFull(tenant)) throw this.#refusal(tenant);
  }

  async #look(): Promise<void> {
    for (const { id, name } of this.pageServer.catalog.tenants()) {
      await this.#measure(id).catch((error: unknown) => this.onTrouble(name, error));
    }
  }

  async #measure(tenant: TenantId): Promise<void> {
    const stats = await this.pageServer.statsOf(tenant);
    if (stats !== undefined) this.#used.set(tenant, stats.usedBytes);
  }

  #message(tenant: TenantId): string {
    const { name } = this.pageServer.catalog.tenant(tenant);
    const used = sizeText(this.#used.get(tenant) ?? 0);
    return `tenant ${name} has ${used} stored, and may have ${sizeText(this.max)} (storedBytesPerTenantMax)`;
  }

  #refusal(tenant: TenantId): OffshootError {
    return catalogError('quota_reached', this.#message(tenant), {
      details: {
        action: 'delete branches that are not needed, or raise the setting quota.storedBytesPerTenantMax',
      },
    });
  }
}
