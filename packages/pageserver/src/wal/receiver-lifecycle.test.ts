import { describe, expect, test } from 'vitest';
import {
  pauseMs,
  type ReceiverEffect,
  type ReceiverEvent,
  type ReceiverState,
  transition,
} from './receiver-lifecycle.js';

/** Every state with every event that means something in it. */
const rows: [ReceiverState, ReceiverEvent, ReceiverState, ReceiverEffect[]][] = [
  ['stopped', 'start', 'connecting', ['connect']],
  ['stopped', 'give_up', 'needs_reimport', ['give_up']],
  ['connecting', 'streaming', 'streaming', []],
  ['connecting', 'lost', 'waiting', ['arm_retry']],
  ['connecting', 'source_changed', 'source_changed', ['arm_retry']],
  ['connecting', 'slot_lost', 'needs_reimport', ['give_up']],
  ['connecting', 'give_up', 'giving_up', ['disconnect']],
  ['connecting', 'stop', 'stopping', ['disconnect']],
  ['streaming', 'lost', 'waiting', ['arm_retry']],
  ['streaming', 'source_changed', 'source_changed', ['arm_retry']],
  ['streaming', 'slot_lost', 'needs_reimport', ['give_up']],
  ['streaming', 'give_up', 'giving_up', ['disconnect']],
  ['streaming', 'stop', 'stopping', ['disconnect']],
  ['waiting', 'retry_due', 'connecting', ['connect']],
  ['waiting', 'give_up', 'needs_reimport', ['disarm_retry', 'give_up']],
  ['waiting', 'stop', 'stopped', ['disarm_retry']],
  ['source_changed', 'retry_due', 'connecting', ['connect']],
  ['source_changed', 'give_up', 'needs_reimport', ['disarm_retry', 'give_up']],
  ['source_changed', 'stop', 'stopped', ['disarm_retry']],
  ['stopping', 'lost', 'stopped', []],
  ['stopping', 'source_changed', 'stopped', []],
  ['stopping', 'slot_lost', 'stopped', []],
  ['giving_up', 'lost', 'needs_reimport', ['give_up']],
  ['giving_up', 'source_changed', 'needs_reimport', ['give_up']],
  ['giving_up', 'slot_lost', 'needs_reimport', ['give_up']],
  ['giving_up', 'stop', 'stopping', []],
  ['needs_reimport', 'stop', 'stopped', ['leave_slot']],
];

const states = [...new Set(rows.map(([state]) => state))];
const events = [...new Set(rows.map(([, event]) => event))];
const known = new Map(rows.map(([state, event, ...outcome]) => [`${state} ${event}`, outcome]));
const every = states.flatMap((state) => events.map((event) => [state, event] as const));

describe('the life of a receiver', () => {
  test.each(every)('%s, %s', (state, event) => {
    // What is not listed came too late, and changes nothing.
    const [next, effects] = known.get(`${state} ${event}`) ?? [state, []];
    expect(transition(state, event)).toEqual({ state: next, effects });
  });

  test('has one attempt under way at most, whatever happens', () => {
    // All states that can be reached with an attempt running or not, and what each event makes of them.
    const seen = new Set<string>();
    const visit = (state: ReceiverState, running: boolean): void => {
      const key = `${state} ${running}`;
      if (seen.has(key)) return;
      seen.add(key);
      for (const event of events) {
        const isEnd = event === 'lost' || event === 'source_changed' || event === 'slot_lost';
        // An attempt that is not there neither ends nor streams.
        if ((isEnd || event === 'streaming') && !running) continue;
        const next = transition(state, event);
        const stillRunning = running && !isEnd;
        const connects = next.effects.includes('connect');
        expect(connects && stillRunning, `${state} ${event}`).toBe(false);
        visit(next.state, stillRunning || connects);
      }
    };
    visit('stopped', false);
    expect([...seen].sort()).toEqual([
      'connecting true',
      'giving_up true',
      'needs_reimport false',
      'source_changed false',
      'stopped false',
      'stopping true',
      'streaming true',
      'waiting false',
    ]);
  });
});

test('pauses grow, up to a limit', () => {
  const pauses = { minMs: 500, maxMs: 30_000 };
  expect([1, 2, 3, 6, 7, 8, 1000].map((failures) => pauseMs(failures, pauses))).toEqual([
    500, 1000, 2000, 16_000, 30_000, 30_000, 30_000,
  ]);
});
