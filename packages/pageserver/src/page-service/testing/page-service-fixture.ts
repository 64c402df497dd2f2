import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { LSN_MAX, type Lsn } from '@offshoot/types';
import {
  type PagestreamRequest,
  pagestreamRequestFrame,
  parsePagestreamResponse,
  type RelationFork,
} from '@offshoot/wire';
import { afterEach, beforeEach, expect } from 'vitest';
import { PageService, type PageServiceOptions } from '../page-service.js';
import { FakePageSource, TENANT, TIMELINE } from './fake-page-source.js';
import { query, RawClient, type ServerMessage } from './raw-client.js';

export const STREAM = `pagestream_v3 ${TENANT} ${TIMELINE}`;
export const BACKUP = `basebackup ${TENANT} ${TIMELINE}`;
export const REL: RelationFork = { spcnode: 1663, dbnode: 5, relnode: 16384, fork: 0 };
/** Where the fake source has not come to yet. */
export const FAR = 0x200_0000n as Lsn;

/** A page service on a fake source, and clients of it, anew for each test and gone after it. */
export class PageServiceFixture {
  directory = '';
  source = new FakePageSource();
  #service: PageService | undefined;
  #clients: RawClient[] = [];

  /** For each test of the file that calls it. */
  static forEachTest(): PageServiceFixture {
    const fixture = new PageServiceFixture();
    beforeEach(() => fixture.#begin());
    afterEach(() => fixture.#end());
    return fixture;
  }

  get service(): PageService {
    if (this.#service === undefined) {
      throw new Error('start was not called');
    }
    return this.#service;
  }

  /** On a Unix socket with everyone trusted, unless the options say otherwise. */
  async start(options: Partial<PageServiceOptions> = {}): Promise<void> {
    const listeners = [
      { kind: 'unix', path: join(this.directory, 's'), mode: 0o600, auth: 'trust' },
    ] as const;
    this.#service = await PageService.start({ source: this.source, listeners, ...options });
  }

  /** Connected; nothing sent. */
  async opened(open: typeof RawClient.open = RawClient.open): Promise<RawClient> {
    const client = await open(this.service.addresses[0] ?? 'unix:');
    this.#clients.push(client);
    return client;
  }

  /** Through the handshake. */
  ready(): Promise<RawClient> {
    return this.opened(RawClient.ready);
  }

  /** In a page stream. */
  async streaming(text = STREAM): Promise<RawClient> {
    const client = await this.ready();
    client.send(query(text));
    await client.until('W');
    return client;
  }

  /** Others are still served. */
  async expectAlive(): Promise<void> {
    const client = await this.streaming();
    client.send(getPage(3));
    expect(wordOf(await client.message())).toBe('page 3');
  }

  #begin(): void {
    this.directory = mkdtempSync(join(tmpdir(), 'page-service-'));
    this.source = new FakePageSource();
  }

  async #end(): Promise<void> {
    for (const client of this.#clients.splice(0)) {
      client.close();
    }
    await this.#service?.close();
    this.#service = undefined;
    rmSync(this.directory, { recursive: true, force: true });
  }
}

export function request(one: PagestreamRequest, notModifiedSince = 1n as Lsn, version: 2 | 3 = 3): Buffer {
  return pagestreamRequestFrame(version, { requestId: 7n, requestLsn: LSN_MAX, notModifiedSince }, one);
}

export function getPage(block: number, since?: Lsn, relnode = REL.relnode): Buffer {
  return request({ kind: 'GetPage', rel: { ...REL, relnode }, block }, since);
}

/** Requests for the first `count` blocks. */
export function getPages(count: number): Buffer[] {
  return Array.from({ length: count }, (_, block) => getPage(block));
}

/** What an answer says, in a word. */
export function wordOf(message: ServerMessage | undefined, version: 2 | 3 = 3): string {
  if (message?.type !== 'd') {
    return message?.type ?? 'closed';
  }
  const response = parsePagestreamResponse(version, message.body);
  switch (response.kind) {
    case 'GetPage':
      return `page ${response.page[0]}`;
    case 'Error':
      return `error ${response.message}`;
    default:
      return response.kind;
  }
}

/** The next answers, in a word each. */
export async function words(client: RawClient, count: number): Promise<string[]> {
  const answers: string[] = [];
  while (answers.length < count) {
    answers.push(wordOf(await client.message()));
  }
  return answers;
}
