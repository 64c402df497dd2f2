import { expect, test, vi } from 'vitest';
import { StrangerWakes } from './stranger-wakes.js';
import { GatewayFixture } from './testing/gateway-fixture.js';
import { frame } from './testing/messages.js';
import { errorOf } from './testing/peer.js';

const exhausted = expect.objectContaining({ code: 'gateway_wakes_exhausted' });

function wakes(options: { wakesMax?: number; peersMax?: number } = {}) {
  const clock = { ms: 0 };
  const strangers = new StrangerWakes({
    ...{ wakesMax: 2, loopbackWakesMax: 0, windowMs: 1000, peersMax: 10 },
    ...options,
    now: () => clock.ms,
  });
  const inVain = (peer: string, branch: string) => {
    const visit = strangers.visit(peer);
    visit.wake(branch);
    visit.end();
  };
  return { strangers, clock, inVain };
}

test('wakes in vain are counted by peer, and forgiven with time', () => {
  const { clock, inVain } = wakes();
  inVain('10.0.0.1', 'a');
  inVain('10.0.0.1', 'b');
  expect(() => inVain('10.0.0.1', 'a')).toThrow(exhausted);
  inVain('10.0.0.2', 'a');
  clock.ms = 499;
  expect(() => inVain('10.0.0.1', 'a')).toThrow(exhausted);
  clock.ms = 500;
  inVain('10.0.0.1', 'a');
  expect(() => inVain('10.0.0.1', 'a')).toThrow(exhausted);
});

test('what took long is not forgiven for the time before it failed', () => {
  const { strangers, clock, inVain } = wakes();
  const slow = ['a', 'b'].map((branch) => {
    const visit = strangers.visit('10.0.0.1');
    visit.wake(branch);
    return visit;
  });
  clock.ms = 100_000;
  for (const visit of slow) visit.end();
  expect(() => inVain('10.0.0.1', 'c')).toThrow(exhausted);
});

test('a login costs nothing, however many there are', () => {
  const { strangers, inVain } = wakes();
  for (let i = 0; i < 10; i += 1) {
    const visit = strangers.visit('10.0.0.1');
    visit.wake(`b${i}`);
    visit.welcome();
    visit.end();
  }
  inVain('10.0.0.1', 'a');
});

test('a branch that somebody of that address has logged in to is woken all the same', () => {
  const { strangers, inVain } = wakes();
  const visit = strangers.visit('10.0.0.1');
  visit.wake('mine');
  visit.welcome();
  visit.end();
  for (const branch of ['a', 'b']) inVain('10.0.0.1', branch);
  expect(() => inVain('10.0.0.1', 'c')).toThrow(exhausted);
  inVain('10.0.0.1', 'mine');
  expect(() => inVain('10.0.0.2', 'mine')).not.toThrow();
});

test.each(['127.0.0.1', '127.1.2.3', '::1', '::ffff:127.0.0.1'])(
  '%s is many, and has no limit',
  (address) => {
    const { inVain } = wakes();
    for (let i = 0; i < 10; i += 1) inVain(address, `b${i}`);
  },
);

test('those under way count, and many for one branch are one', () => {
  const { strangers } = wakes();
  const visits = Array.from({ length: 20 }, (_, i) => {
    const visit = strangers.visit('10.0.0.1');
    visit.wake(i % 2 === 0 ? 'a' : 'b');
    return visit;
  });
  expect(() => strangers.visit('10.0.0.1').wake('c')).toThrow(exhausted);
  for (const visit of visits) visit.welcome();
  strangers.visit('10.0.0.1').wake('c');
});

test('a visit that wakes again, or ends twice, counts once', () => {
  const { strangers, inVain } = wakes();
  const visit = strangers.visit('10.0.0.1');
  visit.wake('a');
  visit.wake('a');
  visit.end();
  visit.end();
  inVain('10.0.0.1', 'b');
  expect(() => inVain('10.0.0.1', 'b')).toThrow(exhausted);
});

test.each([
  ['2001:db8::1', '2001:db8:0:0:ffff::2', 'one peer'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::', 'one peer'],
  ['2001:db8:1:2::1', '2001:db8:1:3::1', 'two peers'],
  ['::ffff:10.0.0.1', '10.0.0.1', 'one peer'],
  ['fe80::1%eth0', 'fe80::2%eth0', 'one peer'],
])('%s and %s are %s', (one, other, peers) => {
  const { inVain } = wakes({ wakesMax: 1 });
  inVain(one, 'a');
  if (peers === 'one peer') expect(() => inVain(other, 'a')).toThrow(exhausted);
  else inVain(other, 'a');
});

test('only so many peers are remembered', () => {
  const { strangers, inVain } = wakes({ peersMax: 10 });
  for (let i = 0; i < 100; i += 1) inVain(`10.0.0.${i}`, 'a');
  expect(strangers.size).toBe(10);
});

const fixture = GatewayFixture.forEachTest();

test('at the gateway: whoever fails to log in wakes no more branches, and still reaches those that are awake', async () => {
  await fixture.start({ settings: { strangerLoopbackWakesMax: 2, strangerWindowMs: 600_000 } });
  fixture.compute.play = ({ peer }) => void peer.socket.end(frame('E', 'SFATAL\0C28P01\0Mno\0\0'));
  for (const branch of ['try-1', 'try-2']) {
    const client = await fixture.asking(branch);
    await client.until('E');
    client.socket.end();
  }
  await vi.waitFor(() => expect(fixture.gateway.counters.connectionsOpen).toBe(0));
  const refused = await fixture.asking('try-3');
  expect(errorOf((await refused.until('E')).at(-1))).toMatch('FATAL 53300 2 branches were woken');
  await refused.rest();
  expect(fixture.host.opened).toEqual(['try-1', 'try-2']);
  fixture.host.sleep = 'awake';
  const served = await fixture.asking('try-3');
  expect(errorOf((await served.until('E')).at(-1))).toBe('FATAL 28P01 no');
  await fixture.expectClean();
});
