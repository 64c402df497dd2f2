import { checkpoint, movedBranch, type NewBranch } from '@offshoot/client';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ApiFixture } from '../testing/api-fixture.js';

let api: ApiFixture;
let made: NewBranch;

beforeEach(async () => {
  api = await ApiFixture.open(['shop']);
  made = await api.create({ name: 'a' });
});

afterEach(async () => {
  expect(api.failures).toEqual([]);
  await api[Symbol.asyncDispose]();
});

const timelineOf = (name: string) => api.world.control.branch(name).timeline;
const post = (path: string, body: object, key: string, token?: string) =>
  api.send('POST', `/v1/branches/${path}`, body, {
    'idempotency-key': key,
    ...(token === undefined ? {} : { token }),
  });

test.each(['reset', 'restore'])('a %s under a key is done once, also over a restart', async (what) => {
  const body = what === 'restore' ? { at: made.base_lsn } : { preserve_as: 'kept' };
  const first = await post(`a/${what}`, body, 'k');
  const after = timelineOf('a');
  await api.restart();
  const again = await post(`a/${what}`, body, 'k');
  expect([again.statusCode, again.headers['idempotency-replayed']]).toEqual([200, 'true']);
  expect(first.headers['idempotency-replayed']).toBeUndefined();
  const { timings_ms: _, ...same } = movedBranch.parse(first.json());
  expect(movedBranch.parse(again.json())).toMatchObject(same);
  expect(timelineOf('a')).toBe(after);
  expect(api.world.control.branches()).toHaveLength(3);
  expect((await post(`a/${what}`, { ...body, timeout_ms: 5 }, 'k')).statusCode).toBe(409);
  // With the branch as it is now.
  await api.world.control.renameBranch('a', { name: 'b' });
  expect((await post(`a/${what}`, body, 'k')).json()).toMatchObject({ branch: { name: 'b' } });
  await api.world.control.deleteBranch('b');
  expect((await post(`a/${what}`, body, 'k')).json()).toMatchObject({ code: 'idempotency_key_spent' });
});

test('a checkpoint under a key is made once, and answered whatever has become of it', async () => {
  const first = await post('a/checkpoints', { name: 'c' }, 'k');
  await api.restart();
  const again = await post('a/checkpoints', { name: 'c' }, 'k');
  expect([first.statusCode, again.statusCode]).toEqual([201, 201]);
  expect(checkpoint.parse(again.json())).toEqual(checkpoint.parse(first.json()));
  await api.world.control.deleteCheckpoint('a', 'c');
  expect((await post('a/checkpoints', { name: 'c' }, 'k')).json()).toEqual(first.json());
  expect(api.world.control.checkpoints('a')).toEqual([]);
  expect((await post('a/checkpoints', { name: 'c' }, 'other')).statusCode).toBe(201);
});

test('a rename under a key is answered again, though nothing has the former name, also to who sees few', async () => {
  const token = await api.token({ name: 't', scope: 'branch', parents: ['shop'] });
  await api.create({ name: 'mine' }, { token });
  expect((await post('mine/rename', { name: 'yours' }, 'k', token)).statusCode).toBe(200);
  await api.restart();
  const again = await post('mine/rename', { name: 'yours' }, 'k', token);
  expect([again.statusCode, again.json()]).toMatchObject([200, { name: 'yours' }]);
  expect((await post('mine/rename', { name: 'yours' }, 'other', token)).statusCode).toBe(404);
  // A key is the token's that sent it.
  expect((await post('mine/rename', { name: 'yours' }, 'k')).statusCode).toBe(404);
});

test('calls at once are one; what failed is not known', async () => {
  const before = timelineOf('a');
  const answers = await Promise.all(Array.from({ length: 5 }, () => post('a/reset', {}, 'k')));
  expect(answers.filter(({ headers }) => headers['idempotency-replayed'] === 'true')).toHaveLength(4);
  expect(api.world.pageServer.catalog.findTimeline(before as never)).toBeUndefined();
  expect(new Set(answers.map(({ body }) => body)).size).toBe(1);
  expect((await post('b/reset', {}, 'later')).statusCode).toBe(404);
  await api.create({ name: 'b' });
  expect((await post('b/reset', {}, 'later')).statusCode).toBe(200);
});
