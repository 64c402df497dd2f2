import { describe, expect, test } from 'vitest';
import { BaseBackupSession } from './base-backup-session.js';

function message(tag: string, body: string | Buffer = ''): Buffer {
  const bytes = Buffer.from(body);
  const header = Buffer.alloc(5);
  header.write(tag, 'latin1');
  header.writeInt32BE(4 + bytes.length, 1);
  return Buffer.concat([header, bytes]);
}

const trusted = message('R', '\0\0\0\0');
const asksForPassword = message('R', '\0\0\0\x03');
const ready = message('Z', 'I');
const parameter = message('S', 'server_version\x0014.1\0');
const copyOut = message('H', '\0\0\0');
const archive = [message('d', 'first '), message('d', ''), message('d', 'second')];
const ending = [message('c'), message('C', 'SELECT 1\0'), ready];
const refusal = message('E', 'SERROR\0CXX000\0Mtimeline not found\0\0');

const session = (password?: string) =>
  new BaseBackupSession({ command: 'basebackup T L 0/1', password, messageBytesMax: 1000 });

/** Feeds all in pieces of that many bytes; answers what was sent, the archive, and whether it ended. */
function converse(subject: BaseBackupSession, messages: Buffer[], pieceBytes = Number.POSITIVE_INFINITY) {
  const bytes = Buffer.concat(messages);
  const step = Math.min(pieceBytes, Math.max(bytes.length, 1));
  const result = { sent: [] as string[], archive: '', ended: false };
  for (let at = 0; at < bytes.length; at += step) {
    for (const effect of subject.feed(bytes.subarray(at, at + step))) {
      if (effect.kind === 'send') {
        result.sent.push(effect.bytes.toString('latin1'));
      } else if (effect.kind === 'archive') {
        result.archive += effect.bytes.toString('latin1');
      } else {
        result.ended = true;
      }
    }
  }
  return result;
}

const query = message('Q', 'basebackup T L 0/1\0').toString('latin1');
const password = message('p', 'secret\0').toString('latin1');

describe('asking for a base backup', () => {
  test('begins with a start-up packet of protocol 3.0', () => {
    const packet = session().start();
    expect(packet.readInt32BE(0)).toBe(packet.length);
    expect(packet.readInt32BE(4)).toBe(3 << 16);
    expect(packet.toString('latin1', 8)).toMatch(/^user\0offshoot\0.*\0\0$/s);
  });

  test.each([1, 2, 3, 5, 7, 64, 10_000])('works however the bytes arrive: %i at a time', (pieceBytes) => {
    const messages = [trusted, parameter, ready, copyOut, ...archive, ...ending];
    const subject = session();
    expect(converse(subject, messages, pieceBytes)).toEqual({
      sent: [query],
      archive: 'first second',
      ended: true,
    });
    expect(() => subject.end()).not.toThrow();
  });

  test('gives a token when it is asked for one', () => {
    const result = converse(session('secret'), [asksForPassword, trusted, ready]);
    expect(result.sent).toEqual([password, query]);
  });

  test.each<[string, Buffer[], string, string]>([
    ['a token that is not there', [asksForPassword], 'base_backup_refused', 'asks for a token'],
    ['a refusal at the door', [refusal], 'base_backup_refused', 'timeline not found'],
    ['a refusal of the command', [trusted, ready, refusal], 'base_backup_refused', 'timeline not found'],
    [
      'an error in the middle',
      [trusted, ready, copyOut, ...archive, refusal],
      'base_backup_refused',
      'timeline not found',
    ],
    ['an error without words', [message('E', '\0')], 'base_backup_refused', 'no reason given'],
    ['another authentication', [message('R', '\0\0\0\x0a')], 'base_backup_invalid', 'method 10'],
    ['a short authentication', [message('R', '\0')], 'base_backup_invalid', 'method -1'],
    ['no copy', [trusted, ready, message('C', 'x\0')], 'base_backup_invalid', 'while commanded'],
    ['data too early', [trusted, ready, archive[0] as Buffer], 'base_backup_invalid', 'while commanded'],
    ['an unknown message', [message('?')], 'base_backup_invalid', 'while authenticating'],
    [
      'a huge message',
      [trusted, ready, copyOut, Buffer.from('d\x7f\xff\xff\xff', 'latin1')],
      'base_backup_invalid',
      '2147483647',
    ],
    ['a negative length', [Buffer.from('R\xff\xff\xff\xff', 'latin1')], 'base_backup_invalid', '4294967295'],
    ['a long error', [Buffer.from('E\0\x01\0\x01', 'latin1')], 'base_backup_invalid', '65537'],
    ['a length below its own', [Buffer.from('R\0\0\0\x03', 'latin1')], 'base_backup_invalid', '3 bytes'],
    ['HTTP', [Buffer.from('HTTP/1.1 400 Bad Request\r\n')], 'base_backup_invalid', 'bytes'],
  ])('%s is an error', (_what, messages, code, words) => {
    for (const pieceBytes of [1, 10_000]) {
      const converseAll = () => converse(session(), messages, pieceBytes);
      expect(converseAll).toThrow(expect.objectContaining({ code, message: expect.stringContaining(words) }));
    }
  });

  test('an early end is an interruption, wherever it comes', () => {
    const messages = [trusted, ready, copyOut, ...archive, ...ending];
    for (let count = 0; count < messages.length; count += 1) {
      const subject = session();
      converse(subject, messages.slice(0, count));
      expect(() => subject.end()).toThrow(expect.objectContaining({ code: 'base_backup_interrupted' }));
    }
  });
});
