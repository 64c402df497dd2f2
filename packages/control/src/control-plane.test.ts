import { tenant as tenantSchema } from '@offshoot/client';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { ControlPlane } from './control-plane.js';
import { ControlFixture, type FakeDriver, IMPORTED } from './testing/control-fixture.js';
import { silentSource } from './testing/silent-source.js';

let fixture: ControlFixture;
let control: ControlPlane;
let driver: FakeDriver;

beforeEach(async () => {
  fixture = await ControlFixture.open(['shop']);
  ({ control, driver } = fixture);
});

afterEach(async () => fixture[Symbol.asyncDispose]());

const coded = (code: string) => expect.objectContaining({ code });
const names = () => control.branches().map(({ name }) => name);

/** A promise and what resolves it. */
function gate(): { opened: Promise<void>; open: () => void } {
  let open = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open };
}

describe('a branch that is being deleted', () => {
  test('gets no compute, however soon one was asked for', async () => {
    await control.createBranch({ name: 'a', from: 'shop' });
    const deleted = control.deleteBranch('a');
    const started = control.startCompute('a');
    await expect(started).rejects.toEqual(coded('branch_not_found'));
    await deleted;
    expect(driver.started).toEqual([]);
    expect(control.computes()).toEqual([]);
  });

  test('ends the start of its compute instead of waiting for it', async () => {
    await control.createBranch({ name: 'a', from: 'shop' });
    driver.startGate = new Promise(() => {});
    const started = control.startCompute('a');
    started.catch(() => {});
    await expect.poll(() => driver.started.length).toBe(1);
    expect(control.branch('a').compute).toBe('starting');
    await control.deleteBranch('a');
    await expect(started).rejects.toThrow(/deleted/);
    expect(names()).toEqual(['shop']);
  });

  test('is no parent, nor is a new one of its name: its point is of another history', async () => {
    await control.createBranch({ name: 'a', from: 'shop' });
    await control.startCompute('a');
    const asked = gate();
    const answer = gate();
    driver.flushedLsn = async () => {
      asked.open();
      await answer.opened;
      return IMPORTED;
    };
    const child = control.createBranch({ name: 'child', from: 'a' });
    child.catch(() => {});
    await asked.opened;
    await control.deleteBranch('a');
    await control.createBranch({ name: 'a', from: 'shop' });
    answer.open();
    await expect(child).rejects.toEqual(coded('branch_not_found'));
    expect(names().sort()).toEqual(['a', 'shop']);
  });

  test('is not mistaken for a new one of its name', async () => {
    await control.createBranch({ name: 'a', from: 'shop' });
    await control.startCompute('a');
    const stop = gate();
    driver.stopGate = stop.opened;
    const both = [control.deleteBranch('a'), control.deleteBranch('a')];
    both[1]?.catch(() => {});
    await expect.poll(names).toEqual(['shop']);
    await control.createBranch({ name: 'a', from: 'shop' });
    expect(control.branch('a').compute).toBe('stopped');
    await control.startCompute('a');
    stop.open();
    await both[0];
    await expect(both[1]).rejects.toEqual(coded('branch_not_found'));
    expect(names()).toContain('a');
    expect(control.branch('a').compute).toBe('running');
    expect(driver.running.size).toBe(1);
  });

  test('keeps its compute when a branch of it came first', async () => {
    await control.createBranch({ name: 'a', from: 'shop' });
    await control.startCompute('a');
    const stop = gate();
    driver.stopGate = stop.opened;
    const outcomes = Promise.allSettled([
      control.createBranch({ name: 'child', from: 'a' }),
      control.deleteBranch('a'),
    ]);
    stop.open();
    const [created, deleted] = await outcomes;
    expect([created.status, deleted.status].sort()).toEqual(['fulfilled', 'rejected']);
    if (created.status === 'fulfilled') expect(control.branch('a').compute).toBe('running');
  });

  test('can have no branches made of it while its compute stops', async () => {
    await control.createBranch({ name: 'a', from: 'shop' });
    await control.startCompute('a');
    const stop = gate();
    driver.stopGate = stop.opened;
    const deleted = control.deleteBranch('a');
    await new Promise(setImmediate);
    const created = control.createBranch({ name: 'child', from: 'a' });
    created.catch(() => {});
    await new Promise((resolve) => setTimeout(resolve, 50));
    stop.open();
    await deleted;
    await expect(created).rejects.toEqual(coded('branch_not_found'));
    expect(names()).toEqual(['shop']);
  });

  test('names some of the many branches that stand in the way', async () => {
    for (let i = 0; i < 30; i += 1) await control.createBranch({ name: `child-${i}`, from: 'shop' });
    await control.createBranch({ name: 'a', from: 'shop' });
    for (let i = 0; i < 30; i += 1) await control.createBranch({ name: `of-a-${i}`, from: 'a' });
    const refused = await control.deleteBranch('a').catch((error: Error) => error.message);
    expect(refused).toMatch(/of-a-.*and 2\d more/);
    expect(String(refused).length).toBeLessThan(300);
  });
});

describe('a tenant that is being deleted', () => {
  test('takes the computes along that were started at the last moment', async () => {
    await control.createBranch({ name: 'a', from: 'shop' });
    await control.createBranch({ name: 'b', from: 'shop' });
    await control.startCompute('a');
    const stop = gate();
    driver.stopGate = stop.opened;
    const deleted = control.deleteTenant('shop');
    const late = Promise.allSettled([
      control.startCompute('b'),
      control.createBranch({ name: 'c', from: 'shop' }),
    ]);
    await new Promise((resolve) => setTimeout(resolve, 50));
    const later = control.startCompute('b');
    later.catch(() => {});
    stop.open();
    await deleted;
    await late;
    await Promise.allSettled([later]);
    expect(driver.running.size).toBe(0);
    expect(control.computes()).toEqual([]);
    expect(control.branches()).toEqual([]);
    await expect(control.startCompute('b')).rejects.toEqual(coded('branch_not_found'));
  });

  test('does not fail the listing of the others', async () => {
    const lists = Array.from({ length: 20 }, () => control.tenants());
    const deleted = control.deleteTenant('shop');
    lists.push(...Array.from({ length: 20 }, () => control.tenants()));
    await expect(Promise.all(lists)).resolves.toHaveLength(40);
    await deleted;
    expect(await control.status()).toMatchObject({ tenants: 0, branches: 0, stored_bytes: 0 });
  });
});

describe('computes', () => {
  test('two starts share one compute, and a crash is told and forgotten by the next start', async () => {
    await control.createBranch({ name: 'a', from: 'shop' });
    const [one, other] = await Promise.all([control.startCompute('a'), control.startCompute('a')]);
    expect(one.id).toBe(other.id);
    driver.crash(one.id, 'signal SIGSEGV');
    await expect.poll(() => control.branch('a').compute).toBe('crashed');
    expect(fixture.crashes).toEqual(['a']);
    expect(() => control.connectionString('a', {})).toThrow(/SIGSEGV/);
    await control.startCompute('a');
    expect(control.connectionString('a', {}).url).toContain('%2Fsockets%2Fc2');
  });

  test('a branch is reached by the gateway, running or not, and by its socket', async () => {
    await control.createBranch({ name: 'a', from: 'shop' });
    expect(() => control.connectionString('a', {})).toThrow(coded('compute_not_running'));
    expect(() => control.connectionString('a', { via: 'gateway' })).toThrow(coded('gateway_off'));
    const counts = { connections: 0, connections_total: 0, parked: 0, refused: {} };
    fixture.gateway = { host: '::1', port: 6000, tls: 'off', ...counts };
    expect(control.connectionString('a', { user: 'a@b', database: 'c d@e?' })).toEqual({
      via: 'gateway',
      url: 'postgresql://a%40b@[::1]:6000/c%20d@e%3F@a',
      host: '::1',
      port: 6000,
      branch: 'a',
      database: 'c d@e?@a',
      user: 'a@b',
    });
    expect(control.connectionString('shop', {}).database).toBe('postgres@shop');
    await control.startCompute('a');
    expect(control.connectionString('a', { via: 'socket' }).host).toMatch('/sockets/');
    fixture.gateway = { host: '0.0.0.0', port: 6000, tls: 'require', ...counts };
    expect(control.connectionString('a', { via: 'gateway' }).host).toBe('127.0.0.1');
    expect(await control.status()).toMatchObject({ gateway: fixture.gateway });
  });

  test('that of production’s own history only reads', async () => {
    expect(await control.startCompute('shop')).toMatchObject({ access: 'read_only' });
    await control.createBranch({ name: 'a', from: 'shop' });
    expect(await control.startCompute('a')).toMatchObject({ access: 'read_write' });
    expect(driver.started.map(({ access, wal }) => [access, wal === undefined])).toEqual([
      ['read_only', true],
      [undefined, false],
    ]);
    expect(control.branches().map(({ name, access }) => [name, access])).toEqual(
      expect.arrayContaining([
        ['shop', 'read_only'],
        ['a', 'read_write'],
      ]),
    );
  });
});

describe('imports', () => {
  test('of one name run once, and only so many run at a time', async () => {
    await using source = await silentSource();
    const request = (name: string) => ({ name, source_url: source.url });
    const first = control.importTenant(request('one'));
    expect(() => control.importTenant(request('one'))).toThrow(coded('name_taken'));
    expect(() => control.importTenant(request('shop'))).toThrow(coded('name_taken'));
    control.importTenant(request('two'));
    expect(() => control.importTenant(request('three'))).toThrow(coded('too_many_imports'));
    expect(control.operations()).toHaveLength(2);
    expect(await control.cancelOperation(first.id)).toMatchObject({
      state: 'cancelled',
      error: { code: 'import_cancelled' },
    });
    control.importTenant(request('one'));
  });

  test('from something that is no connection string are refused at once, without repeating it', () => {
    expect(() => control.importTenant({ name: 'one', source_url: 'mysql://u:secret@h/d' })).toThrow(
      coded('source_url_invalid'),
    );
    expect(control.operations()).toEqual([]);
  });
});

test('a closed control plane ends what is under way and begins nothing new', async () => {
  await using source = await silentSource();
  await control.createBranch({ name: 'a', from: 'shop' });
  await control.createBranch({ name: 'b', from: 'shop' });
  await control.startCompute('a');
  const { id } = control.importTenant({ name: 'one', source_url: source.url });
  await Promise.all([control.close(), control.close()]);
  expect(driver.running.size).toBe(0);
  expect(control.operation(id).state).toBe('cancelled');
  const closed = coded('shutting_down');
  await expect(control.startCompute('b')).rejects.toEqual(closed);
  await expect(control.createBranch({ name: 'c', from: 'shop' })).rejects.toEqual(closed);
  await expect(control.deleteBranch('b')).rejects.toEqual(closed);
  await expect(control.deleteTenant('shop')).rejects.toEqual(closed);
  expect(() => control.importTenant({ name: 'two', source_url: source.url })).toThrow(closed);
  expect(names()).toEqual(expect.arrayContaining(['a', 'b', 'shop']));
});

describe('durability', () => {
  test('is sync unless something else is asked for, and can be changed for the next compute', async () => {
    const { branch } = await control.createBranch({ name: 'a', from: 'shop' });
    expect(branch.durability).toBe('sync');
    await control.createBranch({ name: 'b', from: 'shop', durability: 'async' });
    expect(await control.startCompute('b')).toMatchObject({ durability: 'async' });
    expect(await control.updateBranch('b', { durability: 'sync' })).toMatchObject({ durability: 'sync' });
    expect(control.computes()).toMatchObject([{ branch: 'b', durability: 'async' }]);
    await control.stopCompute('b');
    await control.startCompute('b');
    expect(control.computes()).toMatchObject([{ branch: 'b', durability: 'sync' }]);
    expect(driver.started.map(({ durability }) => durability)).toEqual(['async', 'sync']);
    await expect(control.updateBranch('c', { durability: 'sync' })).rejects.toEqual(
      coded('branch_not_found'),
    );
  });

  test('a compute starts where its branch ends, and is given something to keep its WAL', async () => {
    const { branch } = await control.createBranch({ name: 'a', from: 'shop' });
    await control.startCompute('a');
    expect(driver.started[0]?.baseLsn).toBe(0x200_0138n);
    expect(branch.base_lsn).toBe('0/2000138');
    expect(driver.started[0]?.wal).toBeDefined();
  });

  test('a branch of an async one is refused when its compute does not answer', async () => {
    await control.createBranch({ name: 'a', from: 'shop', durability: 'async' });
    await control.startCompute('a');
    driver.flushedLsn = () => Promise.reject(new Error('too many clients'));
    await expect(control.createBranch({ name: 'b', from: 'a' })).rejects.toThrow(/too many clients/);
    expect(names().sort()).toEqual(['a', 'shop']);
  });

  test('a branch of a sync one needs no answer: what was acknowledged is there', async () => {
    await control.createBranch({ name: 'a', from: 'shop' });
    await control.startCompute('a');
    driver.flushedLsn = () => Promise.reject(new Error('too many clients'));
    await control.createBranch({ name: 'b', from: 'a' });
    expect(names()).toContain('b');
  });

  test('a branch of one whose compute crashes just then waits for its end', async () => {
    await control.createBranch({ name: 'a', from: 'shop', durability: 'async' });
    await control.startCompute('a');
    driver.flushedLsn = async () => {
      setTimeout(() => driver.crash('c1', 'killed'), 50);
      throw new Error('connection lost');
    };
    await control.createBranch({ name: 'b', from: 'a' });
    expect(control.branch('a').compute).toBe('crashed');
  });
});

test('a tenant whose store cannot be opened says so, with the reason', async () => {
  await using fixture = await ControlFixture.open(['shop'], { broken: ['broken'] });
  const { control } = fixture;
  const reason = { code: 'storage_io', message: expect.stringMatching(/./) };
  const tenants = await control.tenants();
  expect(tenants.map(({ name, state }) => `${name} ${state}`).sort()).toEqual([
    'broken unavailable',
    'shop active',
  ]);
  expect(tenantSchema.parse(await control.tenant('broken'))).toMatchObject({
    state: 'unavailable',
    unavailable: reason,
  });
  expect((await control.tenant('shop')).unavailable).toBeUndefined();
  expect((await control.status()).unavailable).toEqual([{ tenant: 'broken', ...reason }]);
  expect((await control.deleteTenant('broken')).state).toBe('deleting');
  expect((await control.status()).unavailable).toEqual([]);
});
