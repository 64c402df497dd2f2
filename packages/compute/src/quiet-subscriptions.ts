import type pg from 'pg';
import type { ConnectAs } from './compute-driver.js';
import type { SocketAddress } from './own-session.js';
import { withSuperuser } from './superuser-session.js';

/** Where nobody listens; the name is what a client is told of. */
const NO_PUBLISHER = 'host=/subscriptions-do-not-run-on-branches';

/** Asked of every compute that starts: a catalog without a row in nearly all of them. */
const ANY = 'SELECT EXISTS (SELECT FROM pg_catalog.pg_subscription) AS "any"';

/** A branch that may not write any more refuses the change even if no row is changed. */
const LOUD = `SELECT EXISTS (SELECT FROM pg_catalog.pg_subscription
  WHERE subenabled OR subslotname IS NOT NULL OR subconninfo <> $1) AS "any"`;

const QUIET = `UPDATE pg_catalog.pg_subscription SET subenabled = false, subslotname = NULL, subconninfo = $1
  WHERE subenabled OR subslotname IS NOT NULL OR subconninfo <> $1`;

/**
 * Takes from subscriptions that came with the data what names production's publisher and slots there. That no worker
 * runs is not enough: DROP SUBSCRIPTION drops the slot on the publisher, which is production's, and REFRESH connects too.
 */
export async function quietSubscriptions(
  client: pg.Client,
  address: SocketAddress,
  as: ConnectAs,
  signal: AbortSignal,
): Promise<void> {
  const { rows } = await client.query<{ any: boolean }>(ANY);
  if (rows[0]?.any !== true) return;
  await withSuperuser(address, as, signal, async (superuser) => {
    const loud = await superuser.query<{ any: boolean }>(LOUD, [NO_PUBLISHER]);
    if (loud.rows[0]?.any === true) await superuser.query(QUIET, [NO_PUBLISHER]);
  });
}
