import { errorResponse, fatalResponse } from '@offshoot/wire';
import { describe, expect, test } from 'vitest';
import { FirstAnswer } from './first-answer.js';
import { frame, WELCOME } from './testing/messages.js';

const starting = fatalResponse({
  sqlState: '57P03',
  message: 'the database system is starting up',
  hint: '',
});

describe('the first word of a compute', () => {
  test.each([
    ['that asks for a password', frame('R', '\0\0\0\x03'), 'taken'],
    ['that welcomes', WELCOME, 'taken'],
    ['that starts up', starting, 'not_now'],
    ['that shuts down', errorResponse({ sqlState: '57P03', message: 'x' }), 'not_now'],
    ['that refuses the role', fatalResponse({ sqlState: '28000', message: 'C57P03', hint: '' }), 'taken'],
    ['that is no Postgres', Buffer.from('E: what do you want?'), 'taken'],
    ['with a length that cannot be', Buffer.from([0x45, 0, 0, 0, 1]), 'taken'],
  ])('%s', (_name, bytes, word) => {
    expect(new FirstAnswer().push(bytes)).toBe(word);
    // However it is cut, nothing of it is lost.
    const answer = new FirstAnswer();
    const words = [...bytes].map((byte) => answer.push(Buffer.from([byte])));
    const told = words.findIndex((each) => each !== 'more');
    expect(words[told]).toBe(word);
    expect(answer.bytes).toEqual(bytes);
  });
});
