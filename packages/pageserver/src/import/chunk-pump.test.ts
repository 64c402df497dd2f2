import { describe, expect, it } from 'vitest';
import { ChunkPump } from './chunk-pump.js';

/** A pump whose taker takes one batch per call of `takeOne`. */
function slowPump(batchBytes: number) {
  const taken: string[] = [];
  const flow: string[] = [];
  const failures: unknown[] = [];
  const gates: { open: () => void; fail: (error: Error) => void }[] = [];
  const pump = new ChunkPump(
    batchBytes,
    (batch) => {
      taken.push(Buffer.from(batch).toString());
      return new Promise<void>((open, fail) => gates.push({ open, fail }));
    },
    { pause: () => flow.push('pause'), resume: () => flow.push('resume') },
    (error) => failures.push(error),
  );
  const settle = async (how: (gate: (typeof gates)[0]) => void) => {
    how(gates.shift() as (typeof gates)[0]);
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { pump, taken, flow, failures, takeOne: () => settle((gate) => gate.open()), settle };
}

describe('a chunk pump', () => {
  it('gathers pieces into whole batches, in order', async () => {
    const { pump, taken, takeOne } = slowPump(4);
    for (const piece of ['ab', 'c', 'defghij', '', 'k']) {
      pump.push(Buffer.from(piece));
    }
    const drained = pump.drained();
    for (let count = 0; count < 3; count++) {
      await takeOne();
    }
    await drained;
    expect(taken).toEqual(['abcd', 'efgh', 'ijk']);
  });

  it('holds the source back while a batch waits behind another', async () => {
    const { pump, flow, takeOne } = slowPump(2);
    pump.push(Buffer.from('aa'));
    expect(flow).toEqual([]);
    pump.push(Buffer.from('bb'));
    expect(flow).toEqual(['pause']);
    pump.push(Buffer.from('cccc'));
    await takeOne();
    await takeOne();
    expect(flow).toEqual(['pause']);
    await takeOne();
    expect(flow).toEqual(['pause', 'resume']);
    pump.push(Buffer.from('dd'));
    expect(flow).toEqual(['pause', 'resume', 'pause']);
  });

  it('lets the source go on when marks, not batches, wait', async () => {
    const { pump, flow, takeOne } = slowPump(2);
    pump.push(Buffer.from('aabb'));
    pump.mark(() => {});
    await takeOne();
    await takeOne();
    expect(flow).toEqual(['pause', 'resume']);
    await pump.drained();
  });

  it('runs marks between what was pushed before and after', async () => {
    const { pump, taken, takeOne } = slowPump(4);
    pump.mark(() => taken.push('first'));
    pump.mark(() => taken.push('second'));
    pump.push(Buffer.from('abc'));
    pump.mark(() => taken.push('third'));
    pump.push(Buffer.from('de'));
    const drained = pump.drained();
    await takeOne();
    await takeOne();
    await drained;
    expect(taken).toEqual(['first', 'second', 'abc', 'third', 'de']);
  });

  it('stops at the first failure and says so', async () => {
    const { pump, taken, failures, settle } = slowPump(1);
    pump.push(Buffer.from('abc'));
    const full = new Error('the disk is full');
    await settle((gate) => gate.fail(full));
    pump.push(Buffer.from('d'));
    await expect(pump.drained()).rejects.toBe(full);
    expect(failures).toEqual([full]);
    expect(taken).toEqual(['a']);
  });

  it('stops after the batch that is being taken', async () => {
    const { pump, taken, failures, takeOne } = slowPump(1);
    pump.push(Buffer.from('abc'));
    let stopped = false;
    const stop = pump.stop().then(() => {
      stopped = true;
    });
    await new Promise((resolve) => setImmediate(resolve));
    expect(stopped).toBe(false);
    await takeOne();
    await stop;
    expect(taken).toEqual(['a']);
    expect(failures).toEqual([]);
  });
});
