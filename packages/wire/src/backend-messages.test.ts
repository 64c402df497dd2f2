import { expect, test } from 'vitest';
import {
  BackendMessage,
  backendKeyData,
  commandComplete,
  copyDataHeader,
  dataRow,
  errorResponse,
  fatalResponse,
  parameterStatus,
  rowDescription,
} from './backend-messages.js';

const latin1 = (bytes: Uint8Array) => Buffer.from(bytes).toString('latin1');

test.each([
  ['authenticationOk', BackendMessage.authenticationOk, 'R\0\0\0\x08\0\0\0\0'],
  [
    'authenticationCleartextPassword',
    BackendMessage.authenticationCleartextPassword,
    'R\0\0\0\x08\0\0\0\x03',
  ],
  ['readyForQuery', BackendMessage.readyForQuery, 'Z\0\0\0\x05I'],
  ['parseComplete', BackendMessage.parseComplete, '1\0\0\0\x04'],
  ['bindComplete', BackendMessage.bindComplete, '2\0\0\0\x04'],
  ['closeComplete', BackendMessage.closeComplete, '3\0\0\0\x04'],
  ['noData', BackendMessage.noData, 'n\0\0\0\x04'],
  ['parameterDescription', BackendMessage.parameterDescription, 't\0\0\0\x06\0\0'],
  ['copyOutResponse', BackendMessage.copyOutResponse, 'H\0\0\0\x07\0\0\0'],
  ['copyBothResponse', BackendMessage.copyBothResponse, 'W\0\0\0\x07\0\0\0'],
  ['copyDone', BackendMessage.copyDone, 'c\0\0\0\x04'],
  ['parameterStatus', parameterStatus('a', 'b'), 'S\0\0\0\x08a\0b\0'],
  ['commandComplete', commandComplete('SELECT 1'), 'C\0\0\0\x0dSELECT 1\0'],
  [
    'errorResponse',
    errorResponse({ sqlState: 'XX000', message: 'n\0o' }),
    'E\0\0\0\x18SERROR\0CXX000\0Mn o\0\0',
  ],
  [
    'fatalResponse',
    fatalResponse({ sqlState: '57P03', message: 'm', hint: 'h' }),
    'E\0\0\0\x20SFATAL\0VFATAL\0C57P03\0Mm\0Hh\0\0',
  ],
  ['backendKeyData', backendKeyData(1, Buffer.from('abcd')), 'K\0\0\0\x0c\0\0\0\x01abcd'],
  [
    'rowDescription',
    rowDescription(['v']),
    'T\0\0\0\x1a\0\x01v\0\0\0\0\0\0\0\0\0\0\x19\xff\xff\xff\xff\xff\xff\0\0',
  ],
  ['dataRow', dataRow(['hi', null]), 'D\0\0\0\x10\0\x02\0\0\0\x02hi\xff\xff\xff\xff'],
  ['copyDataHeader', copyDataHeader(3), 'd\0\0\0\x07'],
])('%s', (_name, bytes, expected) => {
  expect(latin1(bytes)).toBe(expected);
});
