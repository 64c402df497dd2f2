import type { TemplateSource } from '@offshoot/compute';
import { type BranchRecord, catalogError, type PageServer } from '@offshoot/pageserver';
import { asOffshootError, TEMPLATE_NAME } from '@offshoot/types';
import { controlError } from '../control-errors.js';

/** What new databases start from: made once, when it is first needed. */
export class TemplateKeeper {
  readonly #abort = new AbortController();
  #making: Promise<void> | undefined;

  constructor(
    private readonly pageServer: PageServer,
    /** Undefined: none can be made here. */
    private readonly source: TemplateSource | undefined,
  ) {}

  /**
   * Resolves when it is there, with how long that took in milliseconds; undefined: it was there. Throws `name_taken` when
   * something else has its name, `template_not_made`, `tenant_not_active` while it is deleted.
   */
  async ensure(): Promise<number | undefined> {
    if (this.#isThere()) return undefined;
    const began = performance.now();
    this.#making ??= this.#make().finally(() => {
      this.#making = undefined;
    });
    await this.#making;
    return performance.now() - began;
  }

  /** Breaks off what is under way, and waits for its end. */
  async close(): Promise<void> {
    this.#abort.abort(controlError('shutting_down', 'the page server is shutting down'));
    await this.#making?.catch(() => undefined);
  }

  #isThere(): boolean {
    const { catalog } = this.pageServer;
    const tenant = catalog.findTenantNamed(TEMPLATE_NAME);
    if (tenant?.template) {
      if (tenant.state === 'active') return true;
      // Of an import under way: whoever comes meanwhile waits for it.
      if (this.#making !== undefined && tenant.state === 'importing') return false;
      throw catalogError(
        'tenant_not_active',
        `tenant ${TEMPLATE_NAME}, which new databases start from, is ${tenant.state}`,
      );
    }
    const other: BranchRecord | undefined = catalog.findBranchNamed(TEMPLATE_NAME);
    if (tenant === undefined && other === undefined) return false;
    throw catalogError(
      'name_taken',
      `${TEMPLATE_NAME} is what new databases start from, and here it is the name of a ${
        tenant === undefined ? 'branch' : 'tenant'
      }`,
      { details: { action: 'rename the branch, or delete the tenant that has the name; then ask again' } },
    );
  }

  async #make(): Promise<void> {
    const { signal } = this.#abort;
    try {
      signal.throwIfAborted();
      if (this.source === undefined) throw new Error('the page server was started without a way to make it');
      await this.source.withCluster(signal, (url) => this.pageServer.importTemplate(url, signal));
    } catch (error) {
      signal.throwIfAborted();
      const { message } = asOffshootError(error);
      throw controlError('template_not_made', `what new databases start from cannot be made: ${message}`, {
        cause: error,
      });
    }
  }
}
