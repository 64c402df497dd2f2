import type { OffshootError } from '@offshoot/types';
import { afterEach, beforeEach, expect, vi } from 'vitest';
import type { BranchHost, OpenBranch, OpenOptions } from '../branch-host.js';
import { Gateway, type GatewayOptions } from '../gateway.js';
import type { ConnectionEnd, ConnectTimings } from '../gateway-observer.js';
import { FakeCompute, type FakeSession } from './fake-compute.js';
import { startup } from './messages.js';
import { Peer } from './peer.js';

/** Opens branches on one fake compute, when its gate is, and counts. */
export class FakeHost implements BranchHost {
  readonly opened: string[] = [];
  /** Of all branches. */
  sleep: 'asleep' | 'awake' = 'asleep';
  /** Waits that were given up. */
  aborted = 0;
  released = 0;
  /** Each `open` waits for it. */
  gate: Promise<unknown> = Promise.resolve();
  /** `deaf`: an abort is not heeded. */
  hearing: 'hears' | 'deaf' = 'hears';

  constructor(readonly compute: FakeCompute) {}

  async open(branch: string, { signal, beforeWake }: OpenOptions): Promise<OpenBranch> {
    if (this.sleep === 'asleep') beforeWake?.();
    this.opened.push(branch);
    signal.addEventListener('abort', () => this.aborted++);
    const aborted = new Promise<never>((_, reject) =>
      signal.addEventListener('abort', () => reject(signal.reason)),
    );
    aborted.catch(() => {});
    await (this.hearing === 'hears' ? Promise.race([this.gate, aborted]) : this.gate);
    let releases = 0;
    return {
      address: this.compute.address,
      release: () => {
        releases++;
        expect(releases).toBe(1);
        this.released++;
      },
    };
  }
}

/** A gateway before a fake compute, anew for each test and gone after it. */
export class GatewayFixture {
  compute!: FakeCompute;
  host!: FakeHost;
  gateway!: Gateway;
  /** Of all gateways of a test; gone after it. */
  settings: GatewayOptions['settings'];
  readonly seen = {
    handedOver: [] as ConnectTimings[],
    refused: [] as string[],
    left: [] as string[],
    ended: [] as ConnectionEnd[],
    alerts: [] as OffshootError[],
  };
  #peers: Peer[] = [];

  static forEachTest(): GatewayFixture {
    const fixture = new GatewayFixture();
    beforeEach(async () => {
      fixture.compute = await FakeCompute.start();
      fixture.host = new FakeHost(fixture.compute);
    });
    afterEach(async () => {
      for (const peer of fixture.#peers.splice(0)) peer.socket.destroy();
      await fixture.gateway?.close();
      await fixture.compute.close();
      fixture.settings = undefined;
      for (const list of Object.values(fixture.seen)) list.length = 0;
    });
    return fixture;
  }

  async start(options: Partial<GatewayOptions> = {}): Promise<void> {
    const { seen } = this;
    this.gateway = await Gateway.start({
      host: this.host,
      listen: { host: '127.0.0.1', port: 0 },
      tls: { policy: 'off' },
      observer: {
        handedOver: (timings) => seen.handedOver.push(timings),
        refused: (phase, sqlState) => seen.refused.push(`${phase} ${sqlState}`),
        left: (phase) => seen.left.push(phase),
        ended: (end) => seen.ended.push(end),
      },
      onAlert: (error) => seen.alerts.push(error),
      ...options,
      settings: { ...this.settings, ...options.settings },
    });
  }

  get port(): number {
    return this.gateway.address.port;
  }

  /** Connected; nothing sent. */
  async open(): Promise<Peer> {
    return this.keep(await Peer.open(this.port));
  }

  /** Closed after the test. */
  keep(peer: Peer): Peer {
    this.#peers.push(peer);
    return peer;
  }

  /** Connected, the start-up packet sent. */
  async asking(branch = 'try-1', user = 'u'): Promise<Peer> {
    const peer = await this.open();
    peer.send(startup({ user, database: `db@${branch}` }));
    return peer;
  }

  /** Spliced with the compute; answers its session, too. */
  async spliced(): Promise<{ client: Peer; session: FakeSession }> {
    const before = this.compute.sessions.length;
    const client = await this.asking();
    await client.until('Z');
    const session = this.compute.sessions[before];
    if (session === undefined) throw new Error('the compute has no session');
    return { client, session };
  }

  /** Nothing of any connection is left, and the next one works. */
  async expectClean(): Promise<void> {
    await vi.waitFor(() => expect(this.gateway.counters.connectionsOpen).toBe(0), 5000);
    const { counters, cancelKeys } = this.gateway;
    expect({ parked: counters.parked, spliced: counters.connectionsSpliced, cancelKeys }).toEqual({
      parked: 0,
      spliced: 0,
      cancelKeys: 0,
    });
    expect(this.host.released + this.host.aborted).toBeGreaterThanOrEqual(this.host.opened.length);
  }
}
