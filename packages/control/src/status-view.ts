import type { Status } from '@offshoot/client';
import type { ComputeDriver, IsolationFacts } from '@offshoot/compute';
import type { PageServer } from '@offshoot/pageserver';
import type { ComputeBook } from './compute-book.js';
import type { DaemonFacts } from './daemon-facts.js';
import { receiverStatus } from './receiver-view.js';
import type { ComputeRoom } from './sleep/compute-room.js';

/** Of what the status tells. */
export interface StatusSources {
  readonly pageServer: PageServer;
  readonly facts: DaemonFacts;
  readonly computes: Pick<ComputeBook, 'list'>;
  readonly room: ComputeRoom;
  readonly driver: Pick<ComputeDriver, 'isolation'>;
}

export async function statusView({
  pageServer,
  facts,
  computes,
  room,
  driver,
}: StatusSources): Promise<Status> {
  const { catalog } = pageServer;
  const { tenants: stats } = await pageServer.stats();
  const gateway = facts.gateway?.();
  return {
    version: facts.version,
    pid: facts.pid,
    data_directory: facts.dataDirectory,
    started_at: facts.startedAt.toISOString(),
    tenants: catalog.tenants().length,
    branches: catalog.branchCount(),
    computes_running: computes.list().filter(({ state }) => state === 'running').length,
    computes_max: room.limits.computesMax,
    wakes_waiting: room.waiting,
    stored_bytes: [...stats.values()].reduce((sum, { usedBytes }) => sum + usedBytes, 0),
    isolation: isolationView(driver.isolation),
    receivers: receivers(pageServer),
    unavailable: unavailable(pageServer),
    page_service: facts.pageService(),
    ...(gateway === undefined ? {} : { gateway }),
  };
}

function receivers(pageServer: PageServer): Status['receivers'] {
  return pageServer.catalog.tenants().flatMap(({ id, name, needsReimport }) => {
    const seen = pageServer.receiverOf(id);
    return seen === undefined ? [] : [receiverStatus(name, seen, needsReimport?.slot)];
  });
}

function unavailable(pageServer: PageServer): Status['unavailable'] {
  return pageServer.catalog.tenants().flatMap(({ id, name }) => {
    const error = pageServer.unavailable(id);
    return error === undefined ? [] : [{ tenant: name, code: error.code, message: error.message }];
  });
}

function isolationView({ notEnforced, enforced, ...facts }: IsolationFacts): Status['isolation'] {
  return { ...facts, enforced: [...enforced], not_enforced: [...notEnforced] };
}
