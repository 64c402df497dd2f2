import type { IncomingMessage } from 'node:http';
import { PassThrough } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { Upload } from './upload.js';

const unwanted = new AbortController();

function uploadOf(
  body: PassThrough,
  limits: { bytesMax?: number; silenceMsMax?: number } = {},
  { signal } = unwanted,
) {
  const { bytesMax = 1000, silenceMsMax = 60_000 } = limits;
  return new Upload(body as unknown as IncomingMessage, { bytesMax, silenceMsMax }, signal);
}

async function textOf(upload: Upload): Promise<string> {
  const pieces: Uint8Array[] = [];
  for await (const piece of upload.pieces()) pieces.push(piece);
  return Buffer.concat(pieces).toString();
}

test('is read as it comes', async () => {
  const body = new PassThrough();
  const upload = uploadOf(body);
  const read = textOf(upload);
  body.write('a');
  await sleep(20);
  body.write('b');
  body.end('c');
  expect(await read).toBe('abc');
});

test('nothing is taken that nobody wants, and what is left can be read by others', async () => {
  const body = new PassThrough({ highWaterMark: 10 });
  const pieces = uploadOf(body).pieces();
  body.write('1234567890');
  await pieces.next();
  expect(body.write('x'.repeat(20))).toBe(false);
  await sleep(20);
  expect(body.readableLength).toBeGreaterThan(0);
  await pieces.return(undefined);
  expect(body.destroyed).toBe(false);
  const rest = body.resume();
  rest.end();
  await new Promise((resolve) => rest.once('end', resolve));
});

test.each([
  ['too much', { bytesMax: 3 }, (body: PassThrough) => body.write('abcd'), 'dump_too_large'],
  ['silence', { silenceMsMax: 30 }, (body: PassThrough) => body.write('a'), 'upload_interrupted'],
  ['a connection that is closed', {}, (body: PassThrough) => body.destroy(), 'upload_interrupted'],
  ['one that breaks', {}, (body: PassThrough) => body.destroy(new Error('reset')), 'upload_interrupted'],
])('%s ends it', async (_, limits, befall, code) => {
  const body = new PassThrough();
  body.on('error', () => undefined);
  const read = textOf(uploadOf(body, limits));
  setTimeout(() => befall(body), 10);
  await expect(read).rejects.toMatchObject({ code });
});

test('whoever does not want it any more does not wait', async () => {
  const abort = new AbortController();
  const read = textOf(uploadOf(new PassThrough(), {}, abort));
  setTimeout(() => abort.abort(new Error('unwanted')), 10);
  await expect(read).rejects.toThrow('unwanted');
});
