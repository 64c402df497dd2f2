import type { BranchCredentials, ConnectionString, ConnectVia, Status } from '@offshoot/client';
import type { BranchRecord, Catalog } from '@offshoot/pageserver';
import type { ComputeBook } from './compute-book.js';
import { connectionUrl, gatewayUrl, hostToConnectTo } from './connection-url.js';
import { controlError } from './control-errors.js';
import type { DaemonFacts } from './daemon-facts.js';

/** What whoever connects has chosen. */
export interface ConnectionChoice {
  database?: string;
  user?: string;
  via?: ConnectVia;
}

/** How branches are reached. */
export class Connections {
  constructor(
    private readonly catalog: Catalog,
    private readonly computes: Pick<ComputeBook, 'running' | 'alive'>,
    private readonly facts: Pick<DaemonFacts, 'gateway'>,
  ) {}

  /** By default by the gateway where there is one: then the compute need not run. Else it must. */
  to(branch: BranchRecord, choice: ConnectionChoice): ConnectionString {
    const gateway = this.facts.gateway?.();
    if (gateway === undefined && choice.via === 'gateway') {
      throw controlError('gateway_off', 'the page server was started without a gateway');
    }
    return gateway === undefined || choice.via === 'socket'
      ? this.#bySocket(branch, choice)
      : this.#byGateway(branch, choice, gateway);
  }

  /** With the password of the branch's own role, which is told this once. */
  withPassword(
    branch: BranchRecord,
    { name: role, rights }: NonNullable<BranchRecord['role']>,
    password: string,
    database?: string,
  ): BranchCredentials['credentials'] {
    const gateway = this.facts.gateway?.();
    const url =
      gateway === undefined
        ? {}
        : {
            connection_string: this.#byGateway(
              branch,
              { user: role, password, ...(database === undefined ? {} : { database }) },
              gateway,
            ).url,
          };
    return { role, password, rights, ...url };
  }

  #bySocket(branch: BranchRecord, choice: ConnectionChoice): ConnectionString {
    const { socketDirectory, port, connectedAs } = this.computes.running(branch);
    const user = choice.user ?? connectedAs.user;
    const database = choice.database ?? connectedAs.database;
    const url = connectionUrl({ socketDirectory, port, user, database });
    return { via: 'socket', url, host: socketDirectory, port, branch: branch.name, database, user };
  }

  #byGateway(
    branch: BranchRecord,
    choice: ConnectionChoice & { password?: string },
    { host: listens, public_host, port }: NonNullable<Status['gateway']>,
  ): ConnectionString {
    const host = public_host ?? hostToConnectTo(listens);
    // A running compute knows better which of the databases is there. Its role is one for ourselves.
    const connectedAs = this.computes.alive(branch.id)?.running.connectedAs;
    const tenant = this.catalog.tenant(branch.tenant);
    const user = choice.user ?? branch.role?.name ?? tenant.defaultUser;
    const name = choice.database ?? connectedAs?.database ?? tenant.defaultDatabase;
    const database = `${name}@${branch.name}`;
    const password = choice.password === undefined ? {} : { password: choice.password };
    const url = gatewayUrl({ host, port, user, ...password, database });
    return { via: 'gateway', url, host, port, branch: branch.name, database, user };
  }
}
