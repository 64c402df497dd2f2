import { describe, expect, test } from 'vitest';
import { type ComputeEvent, type ComputeState, transition } from './compute-lifecycle.js';

const stop = ['abort_start', 'arm_stop_deadline', 'signal_stop'];

/** Every state with every event; a row without effects that keeps its state ignores the event. */
const rows: [ComputeState, ComputeEvent, ComputeState, string[]][] = [
  ['starting', 'answered', 'running', []],
  ['starting', 'stop_requested', 'stopping', stop],
  ['starting', 'stop_deadline', 'starting', []],
  ['starting', 'exited', 'crashed', ['clean_up']],
  ['running', 'answered', 'running', []],
  ['running', 'stop_requested', 'stopping', ['arm_stop_deadline', 'signal_stop']],
  ['running', 'stop_deadline', 'running', []],
  ['running', 'exited', 'crashed', ['clean_up']],
  ['starting', 'given_up', 'starting', []],
  ['running', 'given_up', 'failing', ['arm_stop_deadline', 'signal_stop']],
  ['failing', 'answered', 'failing', []],
  ['failing', 'stop_requested', 'failing', []],
  ['failing', 'given_up', 'failing', []],
  ['failing', 'stop_deadline', 'failing', ['kill_all']],
  ['failing', 'exited', 'crashed', ['disarm_stop_deadline', 'clean_up']],
  ['stopping', 'given_up', 'stopping', []],
  ['stopped', 'given_up', 'stopped', []],
  ['crashed', 'given_up', 'crashed', []],
  ['stopping', 'answered', 'stopping', []],
  ['stopping', 'stop_requested', 'stopping', []],
  ['stopping', 'stop_deadline', 'stopping', ['kill_all']],
  ['stopping', 'exited', 'stopped', ['disarm_stop_deadline', 'clean_up']],
  ['stopped', 'answered', 'stopped', []],
  ['stopped', 'stop_requested', 'stopped', []],
  ['stopped', 'stop_deadline', 'stopped', []],
  ['stopped', 'exited', 'stopped', []],
  ['crashed', 'answered', 'crashed', []],
  ['crashed', 'stop_requested', 'crashed', []],
  ['crashed', 'stop_deadline', 'crashed', []],
  ['crashed', 'exited', 'crashed', []],
];

describe('the life of a compute', () => {
  test.each(rows)('%s, %s: %s', (state, event, next, effects) => {
    expect(transition(state, event)).toEqual({ state: next, effects });
  });
});
