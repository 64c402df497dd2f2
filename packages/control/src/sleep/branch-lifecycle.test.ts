import { describe, expect, test } from 'vitest';
import {
  type BranchEvent,
  type BranchHold,
  type BranchLife,
  type BranchPhase,
  branchStep,
} from './branch-lifecycle.js';

/** `awake 0/2`: nobody waits, two connections; `asleep held 1/0`: one waits for a decision. */
function life(text: string): BranchLife {
  const [, phase, hold, waiters, connections] = /^(\w+)(?: (held|condemned))? (\d+)\/(\d+)$/.exec(text) ?? [];
  return {
    phase: phase as BranchPhase,
    hold: (hold ?? 'free') as BranchHold,
    waiters: Number(waiters),
    connections: Number(connections),
  };
}

const rows: [string, BranchEvent, string, string][] = [
  // The first wakes it, the others wait for the same.
  ['asleep 0/0', 'wanted', 'queued 1/0', 'enter_queue'],
  ['crashed 0/0', 'wanted', 'queued 1/0', 'enter_queue'],
  ['queued 1/0', 'wanted', 'queued 2/0', ''],
  ['waking 1/0', 'wanted', 'waking 2/0', ''],
  ['queued 2/0', 'admitted', 'waking 2/0', 'start'],
  ['waking 2/0', 'started', 'awake 0/0', 'watch_idle serve_waiters'],
  // Who leaves, leaves the wake to the others; without any a wake that has not begun is withdrawn.
  ['queued 2/0', 'withdrawn', 'queued 1/0', ''],
  ['queued 1/0', 'withdrawn', 'asleep 0/0', 'leave_queue'],
  ['waking 1/0', 'withdrawn', 'waking 0/0', ''],
  ['ending 1/0', 'withdrawn', 'ending 0/0', ''],
  // What fails is told to all.
  ['queued 3/0', 'refused', 'asleep 0/0', 'fail_waiters'],
  ['waking 3/0', 'start_failed', 'asleep 0/0', 'leave_room fail_waiters'],
  // Awake.
  ['awake 0/0', 'connected', 'awake 0/1', 'unwatch_idle'],
  ['awake 0/2', 'released', 'awake 0/1', ''],
  ['awake 0/1', 'released', 'awake 0/0', 'watch_idle'],
  ['awake 0/0', 'used', 'awake 0/0', 'watch_idle'],
  ['awake 0/1', 'used', 'awake 0/1', ''],
  ['awake 0/0', 'rest_due', 'asking 0/0', 'unwatch_idle ask'],
  ['awake 0/1', 'rest_due', 'awake 0/1', ''],
  ['awake 0/0', 'at_rest', 'awake 0/0', ''],
  // Asked whether there is work.
  ['asking 0/0', 'at_rest', 'ending 0/0', 'stop'],
  ['asking 0/0', 'at_work', 'awake 0/0', 'watch_idle'],
  ['asking 0/0', 'connected', 'awake 0/1', 'drop_question'],
  ['asking 0/0', 'used', 'awake 0/0', 'drop_question watch_idle'],
  ['asking 0/0', 'rest_due', 'asking 0/0', ''],
  // Somebody waits for another in its place.
  ['asking 0/0', 'wanted', 'asking 1/0', ''],
  ['asking 1/0', 'at_rest', 'ending 1/0', 'stop'],
  ['asking 2/0', 'at_work', 'awake 0/0', 'watch_idle serve_waiters'],
  ['asking 1/0', 'connected', 'awake 0/1', 'drop_question serve_waiters'],
  ['asking 1/0', 'used', 'awake 0/0', 'drop_question watch_idle serve_waiters'],
  ['asking 1/0', 'withdrawn', 'asking 0/0', ''],
  ['asking 1/0', 'crashed', 'queued 1/0', 'drop_question leave_room enter_queue'],
  ['asking 1/0', 'condemned', 'ending condemned 0/0', 'fail_waiters drop_question stop'],
  // Stopped by hand.
  ['awake 0/2', 'stop', 'ending 0/2', 'unwatch_idle stop'],
  ['asking 0/0', 'stop', 'ending 0/0', 'drop_question stop'],
  ['ending 0/0', 'stop', 'ending 0/0', ''],
  // It ends under its connections, or under the question.
  ['awake 0/2', 'ending', 'ending 0/2', 'unwatch_idle'],
  ['asking 0/0', 'ending', 'ending 0/0', 'drop_question'],
  ['awake 0/2', 'crashed', 'crashed 0/0', 'unwatch_idle leave_room'],
  ['asking 0/0', 'crashed', 'crashed 0/0', 'drop_question leave_room'],
  ['ending 0/2', 'crashed', 'crashed 0/0', 'leave_room'],
  ['ending 0/0', 'ended', 'asleep 0/0', 'leave_room'],
  // Who comes while it ends waits for the end and wakes it again.
  ['ending 0/0', 'wanted', 'ending 1/0', ''],
  ['ending 2/0', 'ended', 'queued 2/0', 'leave_room enter_queue'],
  ['ending 2/1', 'crashed', 'queued 2/0', 'leave_room enter_queue'],
  // While a deletion is decided nothing starts; it goes on when there is none.
  ['asleep 0/0', 'held', 'asleep held 0/0', ''],
  ['asleep held 0/0', 'wanted', 'asleep held 1/0', ''],
  ['asleep held 1/0', 'unheld', 'queued 1/0', 'enter_queue'],
  ['asleep held 0/0', 'unheld', 'asleep 0/0', ''],
  ['queued 1/0', 'held', 'asleep held 1/0', 'leave_queue'],
  ['waking 1/0', 'held', 'giving_up held 1/0', 'abort_start'],
  ['giving_up held 1/0', 'start_failed', 'asleep held 1/0', 'leave_room'],
  ['giving_up held 1/0', 'unheld', 'giving_up 1/0', ''],
  ['giving_up 1/0', 'start_failed', 'queued 1/0', 'leave_room enter_queue'],
  ['giving_up held 1/0', 'started', 'awake held 0/0', 'watch_idle serve_waiters'],
  ['awake 0/1', 'held', 'awake held 0/1', ''],
  ['ending held 1/0', 'ended', 'asleep held 1/0', 'leave_room'],
  // Condemned: all who wait are told, and nothing follows.
  ['asleep held 1/0', 'condemned', 'gone condemned 0/0', 'fail_waiters forget'],
  ['queued 1/0', 'condemned', 'gone condemned 0/0', 'leave_queue fail_waiters forget'],
  ['waking 1/0', 'condemned', 'giving_up condemned 0/0', 'fail_waiters abort_start'],
  ['giving_up held 1/0', 'condemned', 'giving_up condemned 0/0', 'fail_waiters'],
  ['giving_up condemned 0/0', 'start_failed', 'gone condemned 0/0', 'leave_room forget'],
  ['giving_up condemned 0/0', 'started', 'ending condemned 0/0', 'stop'],
  ['awake held 0/2', 'condemned', 'ending condemned 0/2', 'unwatch_idle stop'],
  ['asking held 0/0', 'condemned', 'ending condemned 0/0', 'drop_question stop'],
  ['ending 1/0', 'condemned', 'ending condemned 0/0', 'fail_waiters'],
  ['ending condemned 0/0', 'ended', 'gone condemned 0/0', 'leave_room forget'],
  ['ending condemned 0/0', 'crashed', 'gone condemned 0/0', 'leave_room forget'],
  ['ending condemned 0/0', 'unheld', 'ending condemned 0/0', ''],
];

describe('a branch between sleeping and being awake', () => {
  test.each(rows)('%s, %s: %s %s', (before, event, after, effects) => {
    const step = branchStep(life(before), event);
    expect(step.life).toEqual(life(after));
    expect(step.effects.join(' ')).toBe(effects);
  });

  const late: [BranchPhase, BranchEvent[]][] = [
    ['asleep', ['admitted', 'started', 'at_rest', 'at_work', 'rest_due', 'ending', 'stop', 'used', 'ended']],
    ['queued', ['at_rest', 'at_work', 'rest_due', 'ending', 'stop', 'used', 'unheld']],
    ['waking', ['at_rest', 'rest_due', 'refused', 'stop', 'used', 'unheld']],
    ['awake', ['admitted', 'refused', 'started', 'start_failed', 'at_work', 'held', 'unheld']],
    ['ending', ['at_rest', 'at_work', 'rest_due', 'ending', 'used', 'started']],
    ['gone', ['admitted', 'started', 'start_failed', 'at_rest', 'ended', 'crashed', 'held', 'condemned']],
  ];
  test.each(late.flatMap(([phase, events]) => events.map((event) => [phase, event] as const)))(
    'in phase %s %s means nothing',
    (phase, event) => {
      const step = branchStep(life(`${phase} 0/0`), event);
      expect([step.life.phase, step.effects]).toEqual([phase, []]);
    },
  );
});

describe('whatever happens in whatever order', () => {
  /** What the world outside may do next, given what the table asked for. */
  class World {
    life = life('asleep 0/0');
    inQueue = 0;
    inRoom = 0;
    starting = 0;
    running: 'no' | 'yes' | 'told to stop' = 'no';
    question = 0;
    forgotten = 0;
    watched: 'no' | 'yes' = 'no';

    constructor(private readonly pick: (count: number) => number) {}

    possible(): BranchEvent[] {
      const { hold, waiters, connections, phase } = this.life;
      const condemned = hold === 'condemned';
      const isAwake = phase === 'awake' || phase === 'asking';
      return [
        ...(condemned || phase === 'awake' ? [] : (['wanted'] as const)),
        ...(waiters > 0 ? (['withdrawn'] as const) : []),
        ...(isAwake ? (['connected', 'used', 'stop'] as const) : []),
        ...(connections > 0 && this.running !== 'no' ? (['released'] as const) : []),
        ...(this.watched === 'yes' ? (['rest_due'] as const) : []),
        ...(this.question > 0 ? (['at_rest', 'at_work'] as const) : []),
        ...(this.inQueue > 0 ? (['admitted', 'refused'] as const) : []),
        ...(this.starting > 0 ? (['started', 'start_failed'] as const) : []),
        ...(this.running === 'no' ? [] : (['crashed', 'ending'] as const)),
        ...(this.running === 'told to stop' ? (['ended'] as const) : []),
        ...(condemned
          ? []
          : hold === 'held'
            ? (['unheld', 'condemned'] as const)
            : (['held', 'condemned'] as const)),
      ];
    }

    step(): void {
      const events = this.possible();
      const event = events[this.pick(events.length)];
      if (event === undefined) return;
      this.#meanwhile(event);
      const { life: next, effects } = branchStep(this.life, event);
      this.life = next;
      for (const effect of effects) this.#carryOut(effect);
    }

    #meanwhile(event: BranchEvent): void {
      if (event === 'admitted') this.inRoom += 1;
      if (event === 'admitted' || event === 'refused') this.inQueue -= 1;
      if (event === 'started' || event === 'start_failed') this.starting -= 1;
      if (event === 'started') this.running = 'yes';
      if (event === 'ended' || event === 'crashed') this.running = 'no';
      if (event === 'at_rest' || event === 'at_work') this.question -= 1;
      if (event === 'rest_due') this.watched = 'no';
    }

    #carryOut(effect: string): void {
      if (effect === 'enter_queue') this.inQueue += 1;
      if (effect === 'leave_queue') this.inQueue -= 1;
      if (effect === 'leave_room') this.inRoom -= 1;
      if (effect === 'start') this.starting += 1;
      if (effect === 'stop') this.running = 'told to stop';
      if (effect === 'ask') this.question += 1;
      if (effect === 'drop_question') this.question -= 1;
      if (effect === 'watch_idle') this.watched = 'yes';
      if (effect === 'unwatch_idle') this.watched = 'no';
      if (effect === 'forget') this.forgotten += 1;
    }
  }

  /** A fixed sequence of numbers for each seed (a linear congruential generator). */
  function numbers(seed: number): (count: number) => number {
    let state = seed;
    return (count) => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      return Math.floor((state / 2 ** 32) * count);
    };
  }

  function faultsOf({
    life,
    inQueue,
    inRoom,
    starting,
    running,
    question,
    watched,
    forgotten,
  }: World): string[] {
    const { phase, waiters, connections, hold } = life;
    const processes = starting + (running === 'no' ? 0 : 1);
    const underWay = inQueue + processes;
    const idle = phase === 'awake' && connections === 0;
    const faults: [string, boolean][] = [
      ['two wakes at a time', underWay > 1],
      ['room without a compute, or the other way round', inRoom !== processes],
      ['somebody waits for what is awake', phase === 'awake' && waiters > 0],
      ['a negative count', Math.min(waiters, connections) < 0],
      ['a question in the wrong phase', question !== (phase === 'asking' ? 1 : 0)],
      ['nobody wakes it for those who wait', waiters > 0 && underWay === 0 && hold !== 'held'],
      ['idle time runs while it is in use, or does not while it is not', (watched === 'yes') !== idle],
      ['gone, and something is left', phase === 'gone' && (underWay > 0 || waiters > 0 || forgotten !== 1)],
    ];
    return faults.flatMap(([fault, found]) => (found ? [fault] : []));
  }

  test('there is one wake at most, room is given back, and nobody is left waiting', () => {
    for (let seed = 1; seed <= 5000; seed += 1) {
      const world = new World(numbers(seed));
      for (let n = 0; n < 60; n += 1) {
        world.step();
        const faults = faultsOf(world);
        if (faults.length > 0) expect.fail(`seed ${seed}, step ${n}: ${faults} ${JSON.stringify(world)}`);
      }
    }
  });
});
