import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { DaemonProcess } from '../fixture/daemon-process.js';
import { ScratchDirectory } from '../fixture/scratch-directory.js';

test('SIGHUP, twice as a closed terminal sends it, is a clean end', async () => {
  using scratch = new ScratchDirectory('hang-up');
  const daemon = await DaemonProcess.start(join(scratch.path, 'data'));
  daemon.child.kill('SIGHUP');
  expect(await daemon.end('SIGHUP')).toBe(0);
  expect(existsSync(join(scratch.path, 'data', 'daemon.json'))).toBe(false);
});
